#ifdef TL_CUDA_EMULATED

#include "cuda/emulator.h"

#include <sys/mman.h>

#include <exception>
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
Context scheduler;
Fiber* current = nullptr;
const std::function<void()>* body = nullptr;

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
    return;
  }
  const int64_t generation = barrier.generation;
  while (barrier.generation == generation) Yield();
}

void RunFiber() {
  Begin(current->context, scheduler);
  (*body)();
  current->done = true;
  Leave(*current->warp);
  Leave(*current->block);
  Switch(current->context, scheduler);
}

void Resume(Fiber& fiber) {
  current = &fiber;
  threadIdx = fiber.thread;
  blockIdx = fiber.block->index;
  Switch(scheduler, fiber.context);
}

void RunBlocks(std::vector<Block>& blocks, int shared_bytes) {
  const int threads =
      static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  std::vector<Fiber> fibers(blocks.size() * threads);
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
  for (size_t left = fibers.size(); left > 0;) {
    for (Fiber& fiber : fibers) {
      if (fiber.done) continue;
      Resume(fiber);
      left -= fiber.done;
    }
  }
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
  Fiber& self = *current;
  Switch(self.context, scheduler);
}

void SyncBlock() { Arrive(*current->block); }
void SyncWarp() { Arrive(*current->warp); }
void SyncSome(int id, int threads) {
  current->block->some[id].alive = threads;
  Arrive(current->block->some[id]);
}
int LaneOf() { return current->lane; }

const std::byte* Exchange(const void* mine, size_t bytes, size_t step) {
  Warp& warp = *current->warp;
  auto* given = reinterpret_cast<std::byte*>(warp.given[++current->exchanges % 2]);
  std::memcpy(given + current->lane * step, mine, bytes);
  Arrive(warp);
  return given;
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
