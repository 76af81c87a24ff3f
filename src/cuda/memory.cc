#include "cuda/memory.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

constexpr int64_t kAlignment = 256;
// Small blocks have slabs of their own, so that they do not keep large ones
// from becoming whole again. Their sizes are rounded up for them to serve each
// other: at most an eighth is wasted.
constexpr int64_t kSmall = int64_t{1} << 20;
constexpr int64_t kSmallSlab = int64_t{8} << 20;
constexpr int64_t kSizeSteps = 8;
// What a slab may be of a limit, so that the last one does not take what a
// large block wants.
constexpr int64_t kSlabsOfLimit = 16;

int64_t RoundUp(int64_t bytes, int64_t step) {
  return (bytes + step - 1) / step * step;
}

int64_t SmallSize(int64_t bytes) {
  int64_t step = kAlignment;
  while (step * 2 * kSizeSteps <= bytes) step *= 2;
  return RoundUp(bytes, step);
}

}  // namespace

void Heap::Free(std::byte* at, Block& block) {
  block.is_free = true;
  free_.emplace(block.bytes, at);
  free_bytes_ += block.bytes;
}

void Heap::Unfree(std::byte* at, Block& block) {
  block.is_free = false;
  free_.erase({block.bytes, at});
  free_bytes_ -= block.bytes;
}

void Heap::AddSlab(std::byte* memory, int64_t bytes) {
  Block& block = blocks_[memory] = {bytes - kGuard, true, true, nullptr,
                                    nullptr};
  Free(memory, block);
}

std::byte* Heap::Take(int64_t bytes) {
  const auto found = free_.lower_bound({bytes, nullptr});
  if (found == free_.end()) return nullptr;
  std::byte* const at = found->second;
  Block& block = blocks_.at(at);
  Unfree(at, block);
  if (block.bytes == bytes) return at;
  std::byte* const rest = at + bytes;
  std::byte* const behind = block.behind;
  const int64_t left = block.bytes - bytes;
  block.bytes = bytes;
  block.behind = rest;
  if (behind) blocks_.at(behind).before = rest;
  Free(rest, blocks_[rest] = {left, true, false, at, behind});
  return at;
}

// With the block behind, which is free and not in the set.
void Heap::Join(Block& block) {
  std::byte* const at = block.behind;
  const Block behind = blocks_.at(at);
  block.bytes += behind.bytes;
  block.behind = behind.behind;
  blocks_.erase(at);
}

void Heap::Return(std::byte* at) {
  Block* block = &blocks_.at(at);
  if (block->behind) {
    Block& behind = blocks_.at(block->behind);
    if (behind.is_free) {
      Unfree(block->behind, behind);
      Join(*block);
    }
  }
  if (block->before && blocks_.at(block->before).is_free) {
    at = block->before;
    block = &blocks_.at(at);
    Unfree(at, *block);
    Join(*block);
  }
  if (block->behind) blocks_.at(block->behind).before = at;
  Free(at, *block);
}

int64_t Heap::ReleaseSlabs(MemorySource& source) {
  int64_t released = 0;
  for (auto it = free_.begin(); it != free_.end();) {
    const auto [bytes, at] = *it++;
    Block& block = blocks_.at(at);
    if (!block.begins_slab || block.behind) continue;
    Unfree(at, block);
    blocks_.erase(at);
    source.Delete(at);
    released += bytes + kGuard;
  }
  return released;
}

std::byte* Memory::Take(int64_t bytes) {
  bytes = std::max<int64_t>(bytes, 1);
  std::byte* block = nullptr;
  if (slab_bytes_ == 0) {
    block = New(bytes);
    if (!block) {
      ReleaseKept();
      block = New(bytes);
    }
  } else if (bytes <= kSmall) {
    block = TakeSmall(SmallSize(bytes));
    bytes = SmallSize(bytes);
  } else {
    bytes = RoundUp(bytes, kAlignment);
    block = TakeFrom(large_, bytes, slab_bytes_);
  }
  if (!block) FailFull(bytes);
  placed_ += bytes;
  return block;
}

std::byte* Memory::TakeSmall(int64_t bytes) {
  std::vector<std::byte*>& kept = kept_[bytes];
  if (kept.empty()) {
    return TakeFrom(small_, bytes, std::min(kSmallSlab, slab_bytes_));
  }
  std::byte* const block = kept.back();
  kept.pop_back();
  return block;
}

// Where a whole slab is too much, one of just this block.
std::byte* Memory::TakeFrom(Heap& heap, int64_t bytes, int64_t slab_bytes) {
  if (std::byte* block = heap.Take(bytes)) return block;
  const auto add_slab = [&](int64_t usable) {
    const int64_t slab = usable + Heap::kGuard;
    std::byte* const memory = New(slab);
    if (memory) heap.AddSlab(memory, slab);
    return memory != nullptr;
  };
  if (bytes < slab_bytes && add_slab(slab_bytes)) return heap.Take(bytes);
  if (!add_slab(bytes)) {
    ReleaseKept();
    // What was kept apart may have become one.
    if (std::byte* block = heap.Take(bytes)) return block;
    if (!add_slab(bytes)) return nullptr;
  }
  return heap.Take(bytes);
}

std::byte* Memory::New(int64_t bytes) {
  if (bytes > limit_ - held_) return nullptr;
  std::byte* const memory = source_.New(bytes);
  if (memory) held_ += bytes;
  return memory;
}

void Memory::Return(std::byte* block, int64_t bytes) {
  bytes = std::max<int64_t>(bytes, 1);
  if (slab_bytes_ == 0) {
    returned_.emplace_back(block, bytes);
    if (!before_release_) DeleteReturned();
  } else if (bytes <= kSmall) {
    bytes = SmallSize(bytes);
    kept_[bytes].push_back(block);
  } else {
    bytes = RoundUp(bytes, kAlignment);
    large_.Return(block);
  }
  placed_ -= bytes;
}

void Memory::DeleteReturned() {
  for (const auto& [block, bytes] : returned_) {
    source_.Delete(block);
    held_ -= bytes;
  }
  returned_.clear();
}

void Memory::ReleaseKept() {
  if (before_release_ && !before_release_()) return;
  DeleteReturned();
  for (auto& [bytes, blocks] : kept_) {
    for (std::byte* block : blocks) small_.Return(block);
    blocks.clear();
  }
  held_ -= small_.ReleaseSlabs(source_) + large_.ReleaseSlabs(source_);
}

int64_t Memory::free() const {
  if (limited()) return limit_ - placed_;
  return source_.free() + held_ - placed_;
}

int64_t Memory::total() const { return limited() ? limit_ : source_.total(); }

void Memory::Limit(int64_t bytes) {
  limit_ = std::min(bytes, source_.free() + held_);
  if (slab_bytes_ > 0) {
    slab_bytes_ = std::clamp(limit_ / kSlabsOfLimit, kSmall, slab_bytes_);
  }
}

void Memory::FailFull(int64_t bytes) const {
  Fail(ErrorKind::kInternal,
       "out of memory on the GPU: {} more are needed, {} are placed by this "
       "program, {} of {} are free{}",
       BinarySize(bytes), BinarySize(placed_ + (beside_ ? beside_->placed() : 0)),
       BinarySize(free()),
       BinarySize(total()), limited() ? ", as --gpu-memory says" : "");
}

namespace {

#ifdef TL_CUDA_EMULATED
constexpr int64_t kSlab = 0;  // a sanitizer sees what leaves its block
constexpr int64_t kScratchSlab = 0;
#else
constexpr int64_t kSlab = int64_t{128} << 20;
constexpr int64_t kScratchSlab = kSmallSlab;
#endif

thread_local bool is_apart = false;

std::shared_ptr<std::byte> AllocateIn(Memory& memory, int64_t bytes) {
  return std::shared_ptr<std::byte>(
      memory.Take(bytes),
      [bytes, &memory](std::byte* block) { memory.Return(block, bytes); });
}

}  // namespace

// Never destroyed: tensors of static lifetime may outlive everything else, and
// the driver frees what a process leaves.
Memory& TheMemory() {
  static Memory& memory = *new Memory(TheMemorySource(), kSlab);
  return memory;
}

// What is returned may be of a list that was not started.
Memory& ScratchMemory() {
  static Memory& memory = [&]() -> Memory& {
    auto* made = new Memory(TheMemorySource(), kScratchSlab);
    made->set_before_release([] { return false; });
    made->set_beside(TheMemory());
    return *made;
  }();
  return memory;
}

int64_t FreeMemory() { return TheMemory().free(); }
int64_t PlacedBytes() { return TheMemory().placed(); }

MemoryApart::MemoryApart() : before_(std::exchange(is_apart, true)) {}
MemoryApart::~MemoryApart() { is_apart = before_; }

std::shared_ptr<std::byte> Allocate(int64_t bytes) {
  return AllocateIn(is_apart ? ScratchMemory() : TheMemory(), bytes);
}

std::shared_ptr<std::byte> AllocateScratch(int64_t bytes) {
  return AllocateIn(TheMemory().limited() ? TheMemory() : ScratchMemory(), bytes);
}

}  // namespace tl::cuda
