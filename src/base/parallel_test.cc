#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"

namespace tl {
namespace {

// Leaves the pool as the other tests of the program expect it.
class ParallelTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { SetThreads(GetParam()); }
  void TearDown() override { SetThreads(DefaultThreads()); }
};

INSTANTIATE_TEST_SUITE_P(Threads, ParallelTest, testing::Values(1, 2, 5));

TEST_P(ParallelTest, VisitsEveryIndexOnce) {
  for (int64_t n : {0, 1, 7, 8, 9, 1000}) {
    std::vector<std::atomic<int>> visits(n);
    ParallelFor(n, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++visits[i];
    });
    for (const auto& count : visits) EXPECT_EQ(count, 1);
  }
}

TEST_P(ParallelTest, CutsByShapeAndNotByThreads) {
  std::mutex mutex;
  std::set<std::pair<int64_t, int64_t>> chunks;
  ParallelFor(10, 4, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    chunks.emplace(begin, end);
  });
  const std::set<std::pair<int64_t, int64_t>> expected = {
      {0, 4}, {4, 8}, {8, 10}};
  EXPECT_EQ(chunks, expected);
}

TEST_P(ParallelTest, RunsNestedCallsInPlace) {
  std::atomic<int64_t> sum = 0;
  ParallelFor(4, 1, [&](int64_t begin, int64_t) {
    const std::thread::id outer = std::this_thread::get_id();
    ParallelFor(100, 10, [&](int64_t first, int64_t last) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      sum += (last - first) * (begin + 1);
    });
  });
  EXPECT_EQ(sum, 100 * (1 + 2 + 3 + 4));
}

TEST_P(ParallelTest, CarriesAnExceptionHomeAndGoesOn) {
  for (int round = 0; round < 20; ++round) {
    try {
      ParallelFor(64, 1, [](int64_t begin, int64_t) {
        if (begin == 3) Fail(ErrorKind::kInput, "chunk {}", begin);
      });
      FAIL() << "no exception";
    } catch (const Error& error) {
      EXPECT_EQ(error.text(), "chunk 3");
    }
    std::atomic<int> chunks = 0;
    ParallelFor(64, 1, [&](int64_t, int64_t) { ++chunks; });
    EXPECT_EQ(chunks, 64);
  }
}

TEST_P(ParallelTest, ServesCallersOfSeveralThreads) {
  std::atomic<int64_t> sum = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        ParallelFor(16, 1, [&](int64_t begin, int64_t) { sum += begin; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 3 * 200 * 120);
}

// Many short regions: a worker that wakes late must not lose or repeat a chunk.
TEST_P(ParallelTest, SurvivesManyShortRegions) {
  int64_t total = 0;
  for (int round = 0; round < 5000; ++round) {
    std::vector<int> done(round % 7 + 1, 0);
    ParallelFor(static_cast<int64_t>(done.size()), 1,
                [&](int64_t begin, int64_t) { done[begin] = 1; });
    for (int d : done) total += d;
  }
  int64_t expected = 0;
  for (int round = 0; round < 5000; ++round) expected += round % 7 + 1;
  EXPECT_EQ(total, expected);
}

// The first chunk ends when the others have: somebody else must have taken those
// that its thread would have come to next.
TEST(Threads, TakeWhatASlowOneHasNotBegun) {
  SetThreads(2);
  constexpr int64_t kChunks = 8;
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::atomic<int64_t> others = 0;
  std::atomic<bool> alone = false;
  ParallelFor(kChunks, 1, [&](int64_t begin, int64_t) {
    if (begin != 0) {
      ++others;
      return;
    }
    while (others < kChunks - 1 && !alone) {
      alone = std::chrono::steady_clock::now() > deadline;
    }
  });
  SetThreads(DefaultThreads());
  EXPECT_FALSE(alone) << others << " of " << kChunks - 1;
}

TEST_P(ParallelTest, StopsBetweenChunksOnCtrlC) {
  std::atomic<int> chunks = 0;
  EXPECT_THROW(ParallelFor(1000, 1,
                           [&](int64_t, int64_t) {
                             if (chunks++ == 3) interrupt_requested.store(true);
                           }),
               Interrupted);
  EXPECT_FALSE(interrupt_requested.load());
  EXPECT_LT(chunks.load(), 1000);
}

TEST(Threads, AreAtLeastOneAndAsSet) {
  EXPECT_GE(DefaultThreads(), 1);
  SetThreads(3);
  EXPECT_EQ(Threads(), 3);
  SetThreads(DefaultThreads());
}

}  // namespace
}  // namespace tl
