#ifdef TL_CUDA_EMULATED

#include "cuda/emulator.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"
#include "cuda/emulator_switch.h"

namespace tl::cuda::emulator {
namespace {

constexpr int kWarp = 32;
// Sanitizers make frames several times as large.
constexpr size_t kStackBytes = 256 << 10;

struct Barrier {
  int alive = 0;
  int arrived = 0;
  int64_t generation = 0;
};

// What lanes give each other. There are two sets: while some lanes still read
// the last one, others may write the next; who writes the one after that has
// been waited for by all.
struct Warp : Barrier {
  struct Slot {
    alignas(kMostGiven) std::byte bytes[kMostGiven];
  };
  Slot given[2][kWarp] = {};
};

struct Block : Barrier {
  Barrier some[16];
  dim3 index;
  std::vector<Warp> warps;
  std::unique_ptr<std::byte[]> shared;  // its own, so that ASan knows its end
};

struct Fiber {
  Context context;
  dim3 thread;
  Block* block = nullptr;
  Warp* warp = nullptr;
  int lane = 0;
  int exchanges = 0;
  bool done = false;
  // Where it waits for others, until they are in another generation.
  const Barrier* barrier = nullptr;
  int64_t generation = 0;
  bool looking = false;  // at memory, for what another is to write

  bool CanRun() const {
    const bool waits = barrier != nullptr && barrier->generation == generation;
    return !done && !looking && !waits;
  }
};

// Stacks are kept from one launch to the next: making one costs more than most
// threads run.
class Stacks {
 public:
  struct Stack {
    std::byte* memory;
    void* frames = nullptr;
  };

  Stack& Get(size_t i) {
    while (stacks_.size() <= i) {
      void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      TL_CHECK(memory != MAP_FAILED);
      stacks_.push_back({static_cast<std::byte*>(memory)});
    }
    return stacks_[i];
  }

 private:
  std::vector<Stack> stacks_;
};

Stacks stacks;
Context host;  // of who launches
std::vector<Fiber> fibers;  // of a launch, or of one of its blocks
size_t current_at = 0;
Fiber* current = nullptr;
const std::function<void()>* body = nullptr;

void Enter(Context& left, size_t at) {
  current_at = at;
  current = &fibers[at];
  threadIdx = current->thread;
  blockIdx = current->block->index;
  Switch(left, current->context);
}

// Who is next: all threads in turn; or those of one block, until what they wait
// for lets none of them go on, and then those of the first or last block that can. Of
// the last block it is the last warp that can, which gets far ahead of the others, too.
enum class Order { kInTurn, kFirstBlock, kLastBlock };

Order OrderOf(const char* name) {
  if (name == nullptr) return Order::kInTurn;
  const bool first = std::strcmp(name, "first") == 0;
  TL_CHECK(first || std::strcmp(name, "last") == 0);
  return first ? Order::kFirstBlock : Order::kLastBlock;
}
const Order order = OrderOf(std::getenv("TL_EMULATED_ORDER"));

// The place in [begin, end) of a fiber that can run, in turn after the one that
// runs; or fibers.size().
size_t NextAmong(size_t begin, size_t end) {
  const size_t after = std::clamp(current_at + 1, begin, end);
  for (size_t at = after; at < end; ++at) {
    if (fibers[at].CanRun()) return at;
  }
  for (size_t at = begin; at < after; ++at) {
    if (fibers[at].CanRun()) return at;
  }
  return fibers.size();
}

size_t NextOfBlock(size_t begin, size_t end) {
  if (order != Order::kLastBlock) return NextAmong(begin, end);
  size_t next = fibers.size();
  if (begin <= current_at && current_at < end && current->barrier == current->warp) {
    const size_t warp = begin + (current_at - begin) / kWarp * kWarp;
    next = NextAmong(warp, std::min(warp + kWarp, end));
  }
  for (size_t at = end; next == fibers.size() && at-- > begin;) {
    if (fibers[at].CanRun()) next = at;
  }
  return next;
}

size_t NextInOrder() {
  const size_t all = fibers.size();
  if (order == Order::kInTurn) return NextAmong(0, all);
  const size_t threads = blockDim.x * blockDim.y * blockDim.z;
  const size_t own = current_at / threads * threads;
  size_t next = NextOfBlock(own, own + threads);
  for (size_t done = 0; done < all && next == all; done += threads) {
    const size_t begin =
        order == Order::kFirstBlock ? done : all - threads - done;
    next = NextOfBlock(begin, begin + threads);
  }
  return next;
}

// Who looks at memory looks again when nobody else gets any further.
size_t NextAt() {
  const size_t next = NextInOrder();
  if (next < fibers.size() || order == Order::kInTurn) return next;
  for (Fiber& fiber : fibers) fiber.looking = false;
  return NextInOrder();
}

void LetOthersRun() {
  const size_t next = NextAt();
  TL_CHECK(next < fibers.size());  // else all wait for each other
  if (next != current_at) Enter(current->context, next);
}

void Leave(Barrier& barrier) {
  --barrier.alive;
  if (barrier.alive > 0 && barrier.arrived == barrier.alive) {
    barrier.arrived = 0;
    ++barrier.generation;
  }
}

void Arrive(Barrier& barrier) {
  if (++barrier.arrived == barrier.alive) {
    barrier.arrived = 0;
    ++barrier.generation;
    if (order == Order::kLastBlock && &barrier != current->warp) LetOthersRun();
    return;
  }
  current->barrier = &barrier;
  current->generation = barrier.generation;
  LetOthersRun();
  current->barrier = nullptr;
}

void RunFiber() {
  Begin(current->context);
  (*body)();
  current->done = true;
  Leave(*current->warp);
  Leave(*current->block);
  const size_t next = NextAt();
  if (next < fibers.size()) Enter(current->context, next);
  Switch(current->context, host);
}

void RunBlocks(std::vector<Block>& blocks, int shared_bytes) {
  const int threads =
      static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  fibers.assign(blocks.size() * threads, {});
  for (size_t b = 0; b < blocks.size(); ++b) {
    Block& block = blocks[b];
    block.alive = threads;
    block.warps.resize((threads + kWarp - 1) / kWarp);
    block.shared = std::make_unique<std::byte[]>(shared_bytes);
    std::memset(block.shared.get(), 0xff, shared_bytes);
    for (int t = 0; t < threads; ++t) {
      Fiber& fiber = fibers[b * threads + t];
      const auto at = static_cast<unsigned>(t);
      fiber.thread = {at % blockDim.x, at / blockDim.x % blockDim.y,
                      at / (blockDim.x * blockDim.y)};
      fiber.block = &block;
      fiber.warp = &block.warps[t / kWarp];
      fiber.lane = t % kWarp;
      ++fiber.warp->alive;
      const Stacks::Stack& stack = stacks.Get(b * threads + t);
      fiber.context.frames = stack.frames;
      Prepare(fiber.context, stack.memory, kStackBytes, RunFiber);
    }
  }
  Enter(host, 0);
  for (const Fiber& fiber : fibers) TL_CHECK(fiber.done);
  for (size_t i = 0; i < fibers.size(); ++i) {
    stacks.Get(i).frames = fibers[i].context.frames;
  }
}

}  // namespace

void Run(dim3 grid, dim3 block, int shared_bytes, bool together,
         const std::function<void()>& thread) {
  gridDim = grid;
  blockDim = block;
  body = &thread;
  std::vector<Block> blocks;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blocks.emplace_back().index = {x, y, z};
        if (together) continue;
        RunBlocks(blocks, shared_bytes);
        blocks.clear();
      }
    }
  }
  if (together) RunBlocks(blocks, shared_bytes);
}

std::byte* DynamicShared() { return current->block->shared.get(); }

void Yield() {
  current->looking = order != Order::kInTurn;
  LetOthersRun();
}

void SyncBlock() { Arrive(*current->block); }
void SyncWarp() { Arrive(*current->warp); }
void SyncSome(int id, int threads) {
  current->block->some[id].alive = threads;
  Arrive(current->block->some[id]);
}
int LaneOf() { return current->lane; }

std::byte* NextGiven() {
  return reinterpret_cast<std::byte*>(
      current->warp->given[++current->exchanges % 2]);
}

unsigned Ballot(bool vote) {
  const bool* votes = Exchange(vote);
  unsigned bits = 0;
  for (int lane = 0; lane < current->warp->alive; ++lane) {
    bits |= unsigned{votes[lane]} << lane;
  }
  return bits;
}

}  // namespace tl::cuda::emulator

#endif  // TL_CUDA_EMULATED
