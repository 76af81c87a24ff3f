#include "cuda/memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "base/error.h"

namespace tl::cuda {
namespace {

constexpr int64_t kMi = int64_t{1} << 20;

class CountedMemory final : public MemorySource {
 public:
  explicit CountedMemory(int64_t total) : total_(total) {}
  ~CountedMemory() override {
    for (const auto& [memory, bytes] : sizes_) std::free(memory);
  }

  std::byte* New(int64_t bytes) override {
    if (bytes > free()) return nullptr;
    ++asked;
    auto* memory = static_cast<std::byte*>(
        std::aligned_alloc(256, (bytes + 255) / 256 * 256));
    sizes_[memory] = bytes;
    used_ += bytes;
    return memory;
  }
  void Delete(std::byte* memory) override {
    used_ -= sizes_.at(memory);
    sizes_.erase(memory);
    std::free(memory);
  }
  int64_t free() const override { return total_ - used_; }
  int64_t total() const override { return total_; }

  int asked = 0;

 private:
  int64_t total_;
  int64_t used_ = 0;
  std::map<std::byte*, int64_t> sizes_;
};

std::string ErrorOf(Memory& memory, int64_t bytes) {
  try {
    memory.Take(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

TEST(Memory, AsksForFewSlabs) {
  CountedMemory source(1024 * kMi);
  Memory memory(source, 64 * kMi);
  std::vector<std::byte*> blocks;
  for (int i = 0; i < 30; ++i) blocks.push_back(memory.Take(10 * kMi + i));
  EXPECT_EQ(source.asked, 5);  // six in each
  for (int i = 0; i < 1000; ++i) blocks.push_back(memory.Take(1000));
  EXPECT_EQ(source.asked, 6);
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks[i]) % 256, 0u);
    memory.Return(blocks[i],
                  i < 30 ? 10 * kMi + static_cast<int64_t>(i) : 1000);
  }
  EXPECT_EQ(memory.placed(), 0);
}

TEST(Memory, BlocksDoNotMeet) {
  CountedMemory source(512 * kMi);
  Memory memory(source, 16 * kMi);
  std::map<std::byte*, int64_t> taken;
  uint32_t random = 1;
  const auto next = [&](uint32_t n) {
    random = random * 1664525 + 1013904223;
    return static_cast<int64_t>((random >> 8) % n);
  };
  for (int i = 0; i < 4000; ++i) {
    if (taken.size() > 40 || (!taken.empty() && next(3) == 0)) {
      auto it = std::next(taken.begin(), next(uint32_t(taken.size())));
      memory.Return(it->first, it->second);
      taken.erase(it);
      continue;
    }
    const int64_t bytes = next(4) == 0 ? next(5 << 20) : next(3000);
    std::byte* const block = memory.Take(bytes);
    const auto behind = taken.lower_bound(block);
    if (behind != taken.end()) {
      ASSERT_LE(block + bytes, behind->first);
    }
    if (behind != taken.begin()) {
      const auto before = std::prev(behind);
      ASSERT_LE(before->first + before->second, block);
    }
    std::fill_n(block, bytes + 256, std::byte{1});  // what may be read is there
    taken[block] = bytes;
  }
  for (const auto& [block, bytes] : taken) memory.Return(block, bytes);
  EXPECT_EQ(memory.placed(), 0);
  // Free neighbours became one again: a whole slab serves.
  const int asked = source.asked;
  memory.Return(memory.Take(16 * kMi - 4096), 16 * kMi - 4096);
  EXPECT_EQ(source.asked, asked);
}

TEST(Memory, WhatIsKeptGoesBackWhenOtherSizesWantIt) {
  CountedMemory source(100 * kMi);
  Memory memory(source, 32 * kMi);
  std::byte* const a = memory.Take(20 * kMi);
  std::byte* const b = memory.Take(20 * kMi);
  memory.Return(a, 20 * kMi);
  memory.Return(b, 20 * kMi);
  EXPECT_EQ(memory.free(), 100 * kMi);
  std::byte* const c = memory.Take(90 * kMi);
  EXPECT_EQ(memory.placed(), 90 * kMi);
  memory.Return(c, 90 * kMi);
}

TEST(Memory, NothingGoesBackBeforeWorkOnItHasBegun) {
  CountedMemory source(64 * kMi);
  Memory memory(source, 32 * kMi);
  memory.Return(memory.Take(20 * kMi), 20 * kMi);
  memory.set_before_release([] { return false; });
  EXPECT_EQ(ErrorOf(memory, 60 * kMi),
            "out of memory on the GPU: 60.0 MiB more are needed, 0 bytes are "
            "placed by this program, 64.0 MiB of 64.0 MiB are free");
  memory.set_before_release([] { return true; });
  memory.Return(memory.Take(60 * kMi), 60 * kMi);
}

TEST(Memory, SaysWhatIsNeededPlacedAndFree) {
  CountedMemory source(64 * kMi);
  Memory memory(source, 0);
  std::byte* const block = memory.Take(24 * kMi);
  EXPECT_EQ(ErrorOf(memory, 48 * kMi),
            "out of memory on the GPU: 48.0 MiB more are needed, 24.0 MiB are "
            "placed by this program, 40.0 MiB of 64.0 MiB are free");
  memory.Return(block, 24 * kMi);
  memory.Return(memory.Take(48 * kMi), 48 * kMi);
}

TEST(Memory, HoldsNoMoreThanItsLimit) {
  CountedMemory source(64 * kMi);
  Memory memory(source, 32 * kMi);
  memory.Limit(20 * kMi);
  EXPECT_TRUE(memory.limited());
  std::byte* const block = memory.Take(18 * kMi);
  EXPECT_EQ(ErrorOf(memory, 4 * kMi),
            "out of memory on the GPU: 4.0 MiB more are needed, 18.0 MiB are "
            "placed by this program, 2.0 MiB of 20.0 MiB are free, as "
            "--gpu-memory says");
  memory.Return(block, 18 * kMi);
  EXPECT_LE(64 * kMi - source.free(), 20 * kMi);
  memory.Limit(1000 * kMi);  // more than there is
  EXPECT_EQ(memory.free(), 64 * kMi);
}

}  // namespace
}  // namespace tl::cuda
