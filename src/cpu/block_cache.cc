#include "cpu/block_cache.h"

#include <iterator>
#include <utility>

#include "base/error.h"
#include "tensor/tensor.h"

namespace tl {
namespace {

// Smaller blocks are left to malloc, which keeps them itself.
constexpr int64_t kWorthKeeping = int64_t{1} << 20;

// Sizes are rounded up so that a last batch that is a little shorter, or a
// sequence that grows token by token, still finds a block.
constexpr int64_t kSizeStep = int64_t{1} << 20;

// A kept block may be larger than what was asked for by a quarter.
constexpr int64_t LargestFor(int64_t bytes) { return bytes + bytes / 4; }

}  // namespace

std::shared_ptr<std::byte> BlockCache::Allocate(int64_t bytes) {
  if (bytes < kWorthKeeping) return AllocateHost(bytes);
  const int64_t rounded = (bytes + kSizeStep - 1) / kSizeStep * kSizeStep;
  Block block = TakeKept(rounded);
  if (block.data == nullptr) block = AllocateFresh(rounded);
  std::byte* first = block.data.get();
  auto give_back = [cache = weak_from_this(),
                    block = std::move(block)](std::byte*) mutable {
    if (const auto alive = cache.lock()) alive->Keep(std::move(block));
  };
  return {first, std::move(give_back)};
}

int64_t BlockCache::kept_bytes() const {
  const std::lock_guard lock(mutex_);
  return kept_bytes_;
}

BlockCache::Block BlockCache::TakeKept(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  // The latest first: its bytes are the likeliest to be in cache.
  for (auto it = kept_.rbegin(); it != kept_.rend(); ++it) {
    if (it->bytes < bytes || it->bytes > LargestFor(bytes)) continue;
    Block block = std::move(*it);
    kept_.erase(std::next(it).base());
    kept_bytes_ -= block.bytes;
    return block;
  }
  return {};
}

BlockCache::Block BlockCache::AllocateFresh(int64_t bytes) {
  try {
    return {bytes, AllocateHost(bytes)};
  } catch (const Error&) {
    if (kept_bytes() == 0) throw;
  }
  Clear();  // what is kept counts as used memory
  return {bytes, AllocateHost(bytes)};
}

void BlockCache::Keep(Block block) {
  const std::lock_guard lock(mutex_);
  if (block.bytes > limit_) return;
  kept_bytes_ += block.bytes;
  kept_.push_back(std::move(block));
  while (kept_bytes_ > limit_) {
    kept_bytes_ -= kept_.front().bytes;
    kept_.pop_front();
  }
}

void BlockCache::Clear() {
  const std::lock_guard lock(mutex_);
  kept_.clear();
  kept_bytes_ = 0;
}

}  // namespace tl
