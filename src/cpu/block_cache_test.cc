#include "cpu/block_cache.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace tl {
namespace {

constexpr int64_t kMegabyte = int64_t{1} << 20;

TEST(BlockCache, HandsTheSameBlockOutAgain) {
  const auto cache = std::make_shared<BlockCache>(64 * kMegabyte);
  std::shared_ptr<std::byte> block = cache->Allocate(8 * kMegabyte);
  std::byte* first = block.get();
  block.reset();
  EXPECT_EQ(cache->kept_bytes(), 8 * kMegabyte);
  // A little smaller still fits.
  EXPECT_EQ(cache->Allocate(7 * kMegabyte + 5).get(), first);
  EXPECT_EQ(cache->kept_bytes(), 8 * kMegabyte);
}

TEST(BlockCache, DoesNotWasteALargeBlockOnASmallRequest) {
  const auto cache = std::make_shared<BlockCache>(64 * kMegabyte);
  cache->Allocate(32 * kMegabyte).reset();
  const std::shared_ptr<std::byte> block = cache->Allocate(2 * kMegabyte);
  EXPECT_EQ(cache->kept_bytes(), 32 * kMegabyte);
}

TEST(BlockCache, KeepsTheLatestBlocksWithinItsLimit) {
  const auto cache = std::make_shared<BlockCache>(10 * kMegabyte);
  std::shared_ptr<std::byte> a = cache->Allocate(4 * kMegabyte);
  std::shared_ptr<std::byte> b = cache->Allocate(4 * kMegabyte);
  std::shared_ptr<std::byte> c = cache->Allocate(4 * kMegabyte);
  std::byte* latest = c.get();
  a.reset();
  b.reset();
  c.reset();
  EXPECT_EQ(cache->kept_bytes(), 8 * kMegabyte);
  EXPECT_EQ(cache->Allocate(4 * kMegabyte).get(), latest);
  cache->Allocate(16 * kMegabyte).reset();
  EXPECT_EQ(cache->kept_bytes(), 8 * kMegabyte);
}

TEST(BlockCache, LeavesSmallBlocksAlone) {
  const auto cache = std::make_shared<BlockCache>(10 * kMegabyte);
  cache->Allocate(1000).reset();
  EXPECT_EQ(cache->kept_bytes(), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(cache->Allocate(0).get()) % 64, 0u);
}

TEST(BlockCache, MayGoBeforeItsBlocks) {
  auto cache = std::make_shared<BlockCache>(10 * kMegabyte);
  const std::shared_ptr<std::byte> block = cache->Allocate(2 * kMegabyte);
  cache.reset();
  block.get()[2 * kMegabyte - 1] = std::byte{1};
  EXPECT_EQ(block.get()[2 * kMegabyte - 1], std::byte{1});
}

TEST(BlockCache, ServesSeveralThreads) {
  const auto cache = std::make_shared<BlockCache>(6 * kMegabyte);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&cache, t] {
      for (int i = 0; i < 200; ++i) {
        const auto block = cache->Allocate((1 + (i + t) % 3) * kMegabyte);
        block.get()[i] = static_cast<std::byte>(t);
        EXPECT_EQ(block.get()[i], static_cast<std::byte>(t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache->kept_bytes(), 6 * kMegabyte);
}

}  // namespace
}  // namespace tl
