#include "format/deferred_bytes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "format/model.h"

namespace {

using tl::DeferredBytes;

struct Counted {
  std::atomic<int> computed = 0;
  DeferredBytes bytes{[this] {
    ++computed;
    auto made = tl::AllocateHost(4);
    made.get()[0] = std::byte{7};
    return made;
  }};
};

TEST(DeferredBytes, AreComputedWhenFirstAskedFor) {
  Counted counted;
  EXPECT_EQ(counted.computed, 0);
  EXPECT_EQ(counted.bytes.Keep().get()[0], std::byte{7});
  EXPECT_EQ(counted.computed, 1);
}

TEST(DeferredBytes, AreKept) {
  Counted counted;
  const auto first = counted.bytes.Keep();
  EXPECT_EQ(counted.bytes.Keep(), first);
  EXPECT_EQ(counted.bytes.Borrow(), first);
  EXPECT_EQ(counted.computed, 1);
}

TEST(DeferredBytes, AreNotKeptForABorrower) {
  Counted counted;
  std::weak_ptr<std::byte> gone = counted.bytes.Borrow();
  EXPECT_TRUE(gone.expired());
  counted.bytes.Borrow();
  EXPECT_EQ(counted.computed, 2);
}

TEST(DeferredBytes, AreComputedOnceByManyThreads) {
  Counted counted;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { counted.bytes.Keep(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counted.computed, 1);
}

TEST(DeferredBytes, AreTheBytesOfATensor) {
  Counted counted;
  tl::TensorEntry entry;
  entry.dtype = tl::DType::F32;
  entry.shape = {1};
  entry.elements = 1;
  entry.bytes = 4;
  entry.deferred = std::shared_ptr<DeferredBytes>(&counted.bytes, [](auto*) {});
  {
    const tl::TensorEntry fetched = entry.Fetched();
    EXPECT_EQ(fetched.stored()[0], std::byte{7});
    EXPECT_EQ(fetched.deferred, nullptr);
  }
  EXPECT_EQ(entry.AsTensor().data.get(), entry.stored().data());
  EXPECT_EQ(counted.computed, 2);
}

}  // namespace
