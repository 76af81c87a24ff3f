// Host memory for results, with large freed blocks kept for the next request. A
// fresh block costs a page fault and a cleared page per 4 KB or 2 MB, which for
// a streaming kernel is as dear as the work itself; a loop that makes the same
// temporaries each step gets the same blocks back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

namespace tl {

// Thread safe. Blocks outlive the cache: they are freed when it is gone.
class BlockCache : public std::enable_shared_from_this<BlockCache> {
 public:
  // Keeps at most `limit` bytes of freed blocks, the latest ones.
  explicit BlockCache(int64_t limit) : limit_(limit) {}

  // As AllocateHost.
  std::shared_ptr<std::byte> Allocate(int64_t bytes);

  int64_t kept_bytes() const;

 private:
  struct Block {
    int64_t bytes = 0;
    std::shared_ptr<std::byte> data;
  };

  Block TakeKept(int64_t bytes);  // no data where none fits
  Block AllocateFresh(int64_t bytes);
  void Keep(Block block);
  void Clear();

  const int64_t limit_;
  mutable std::mutex mutex_;
  std::list<Block> kept_;  // oldest first
  int64_t kept_bytes_ = 0;
};

}  // namespace tl
