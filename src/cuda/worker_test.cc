#include "cuda/worker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"
#include "cuda/memory.h"
#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

// A word in device memory, and what it is once all that was started is done.
class Word {
 public:
  std::byte* place() const { return memory_.get(); }
  int32_t Get() const {
    int32_t word = 0;
    CopyFromDevice(reinterpret_cast<std::byte*>(&word), place(), sizeof(word));
    return word;
  }

 private:
  std::shared_ptr<std::byte> memory_ = Allocate(sizeof(int32_t));
};

class WorkerTest : public testing::Test {
 protected:
  std::unique_ptr<Batch> Writes(int32_t number, Ticket ticket) {
    std::unique_ptr<Batch> batch = worker_.NewBatch();
    batch->AddCopyIn(word_.place(), reinterpret_cast<const std::byte*>(&number),
                     sizeof(number));
    batch->ticket = ticket;
    return batch;
  }
  std::unique_ptr<Batch> Fails(Ticket ticket) {
    std::unique_ptr<Batch> batch = worker_.NewBatch();
    batch->Add(OpId::kLeaf, {});  // which nothing runs
    batch->ticket = ticket;
    return batch;
  }

  const Word word_;  // longer there than who writes it
  Engine engine_;
  Worker worker_{engine_};
};

TEST_F(WorkerTest, RunsBatchesInTheirOrder) {
  for (Ticket ticket = 1; ticket <= 300; ++ticket) {
    worker_.Post(Writes(static_cast<int32_t>(ticket), ticket));
  }
  {
    const auto pause = worker_.Pause();
    engine_.Start();
  }
  EXPECT_EQ(engine_.started(), 300u);
  EXPECT_EQ(word_.Get(), 300);
}

TEST_F(WorkerTest, StartsWhatWasPostedWithoutAnotherCall) {
  worker_.Post(Writes(7, 1));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (engine_.started() < 1 && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  ASSERT_EQ(engine_.started(), 1u);
  EXPECT_EQ(word_.Get(), 7);
}

TEST_F(WorkerTest, KnowsTheMarkOfEachTicket) {
  EXPECT_EQ(engine_.MarkOf(0), 0u);
  std::vector<uint64_t> marks;
  for (Ticket ticket = 1; ticket <= 3; ++ticket) {
    worker_.Post(Writes(1, 2 * ticket));
    const auto pause = worker_.Pause();
    engine_.Start();
    marks.push_back(engine_.MarkOf(2 * ticket));
  }
  EXPECT_LT(marks[0], marks[1]);
  EXPECT_LT(marks[1], marks[2]);
  EXPECT_EQ(engine_.MarkOf(2), marks[0]);
  EXPECT_EQ(engine_.MarkOf(3), marks[1]);  // what came with the next
}

TEST_F(WorkerTest, FailsForGoodWithWhatFailedOnIt) {
  worker_.Post(Writes(7, 1));
  { const auto pause = worker_.Pause(); }
  worker_.Post(Fails(2));
  for (int i = 0; i < 2; ++i) {
    try {
      WithNote([&] { static_cast<void>(worker_.Pause()); }, [] { return "here"; });
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.notes(), std::vector<std::string>{"here"});  // of this time
    }
  }
  EXPECT_THROW(worker_.Post(Writes(8, 3)), Error);
  EXPECT_THROW(worker_.Hurry(), Error);
  EXPECT_LT(engine_.started(), 2u);
}

}  // namespace
}  // namespace tl::cuda
