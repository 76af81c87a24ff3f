// The card's memory, in blocks. Asking the driver for one costs as much as many
// kernels, so that it is asked for large slabs, which are cut up here; what is
// given back serves the next, and goes to the driver when another wants it. One
// stream uses all of it, in the order in which it is handed out, so that a block may
// be another's before its last use has happened. There are two: tensors' and, for
// what another thread may start, scratch memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tl::cuda {

// Who has the memory: the driver, or the processor that plays the card.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  virtual std::byte* New(int64_t bytes) = 0;  // null where there is no more
  virtual void Delete(std::byte* memory) = 0;
  virtual int64_t free() const = 0;
  virtual int64_t total() const = 0;
};

// Slabs, cut into blocks. Neighbours that are free become one; the smallest
// that is large enough is taken.
class Heap {
 public:
  // Null where no slab has room.
  std::byte* Take(int64_t bytes);
  void Return(std::byte* block);
  // Some bytes at its end are only there to be read behind a block.
  static constexpr int64_t kGuard = 256;
  void AddSlab(std::byte* memory, int64_t bytes);
  // Gives slabs back of which nothing is in use; the bytes that were theirs.
  int64_t ReleaseSlabs(MemorySource& source);
  int64_t free_bytes() const { return free_bytes_; }

 private:
  struct Block {
    int64_t bytes;
    bool is_free;
    bool begins_slab;
    std::byte* before;  // its neighbours in the slab, or null
    std::byte* behind;
  };

  void Free(std::byte* at, Block& block);
  void Unfree(std::byte* at, Block& block);
  void Join(Block& block);

  std::unordered_map<std::byte*, Block> blocks_;
  std::set<std::pair<int64_t, std::byte*>> free_;
  int64_t free_bytes_ = 0;
};

class Memory {
 public:
  // Where slabs have 0 bytes each block is one of its own, and none is kept
  // once the work that uses it has begun.
  Memory(MemorySource& source, int64_t slab_bytes)
      : source_(source), slab_bytes_(slab_bytes) {}

  // 256-byte aligned, with at least 256 readable bytes behind where there are
  // slabs. Fails with what was wanted, placed and free.
  std::byte* Take(int64_t bytes);
  void Return(std::byte* block, int64_t bytes);

  // What to do before memory goes back to its source: work that was not started
  // yet may be about to use it. False if it cannot be started now.
  void set_before_release(std::function<bool()> prepare) {
    before_release_ = std::move(prepare);
  }

  // All work was started; work is done in order.
  void DeleteReturned();
  bool HasMuchToDelete() const { return returned_.size() > 4096; }

  // Holds at most so many bytes from now on, what it holds already included.
  void Limit(int64_t bytes);
  bool limited() const { return limit_ != kNoLimit; }

  int64_t placed() const { return placed_; }
  // Whose blocks a message counts as well.
  void set_beside(const Memory& other) { beside_ = &other; }
  // Of all there is, or of the limit.
  int64_t free() const;
  int64_t total() const;

 private:
  static constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

  std::byte* TakeSmall(int64_t bytes);
  std::byte* TakeFrom(Heap& heap, int64_t bytes, int64_t slab_bytes);
  std::byte* New(int64_t bytes);
  void ReleaseKept();
  [[noreturn]] void FailFull(int64_t bytes) const;

  MemorySource& source_;
  int64_t slab_bytes_;
  int64_t limit_ = kNoLimit;
  int64_t held_ = 0;    // from the source
  std::atomic<int64_t> placed_ = 0;  // in use; another thread may ask
  const Memory* beside_ = nullptr;
  Heap small_, large_;
  std::function<bool()> before_release_;
  std::vector<std::pair<std::byte*, int64_t>> returned_;  // without slabs
  // Small blocks that were given back, by size: most of what steps ask for.
  std::map<int64_t, std::vector<std::byte*>> kept_;
};

MemorySource& TheMemorySource();  // runtime.cc, runtime_emulated.cc
Memory& TheMemory();
// Of operations at work rather than of tensors (AllocateScratch).
Memory& ScratchMemory();

}  // namespace tl::cuda
