#include "cuda/worker.h"

#include <chrono>
#include <system_error>
#include <utility>

#include "cuda/memory.h"
#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

using Clock = std::chrono::steady_clock;

// Waking a thread takes as long as a program takes to make some more work.
constexpr std::chrono::microseconds kSpin{50};
// Between two looks whether the card has nothing to do while a list is open.
constexpr std::chrono::microseconds kLook{200};
// A program that hands over without end waits here.
constexpr size_t kMostBatches = 64;
// A list that takes the card longer than starting it could ever matter.
constexpr size_t kMostSteps = 1024;

template <class F>
void SpinUntil(F is_so) {
  const Clock::time_point end = Clock::now() + kSpin;
  while (!is_so() && Clock::now() < end) std::this_thread::yield();
}

}  // namespace

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    queue_.clear();
    ends_ = true;
  }
  more_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Worker::RaiseFailure() const {
  if (failure_) throw Error(*failure_);  // each has its own notes
}

std::unique_ptr<Batch> Worker::NewBatch() {
  const std::lock_guard lock(mutex_);
  if (spare_.empty()) return std::make_unique<Batch>();
  std::unique_ptr<Batch> batch = std::move(spare_.back());
  spare_.pop_back();
  return batch;
}

void Worker::Post(std::unique_ptr<Batch> batch) {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return queue_.size() < kMostBatches; });
  RaiseFailure();
  if (!thread_.joinable()) StartThread();
  last_ = batch->ticket;
  queue_.push_back(std::move(batch));
  ++posted_;
  if (asleep_) more_.notify_one();
}

void Worker::StartThread() {
  // It finds memory of its own then, however much tensors take later.
  AllocateScratch(1);
  try {
    thread_ = std::thread([this] { Loop(); });
  } catch (const std::system_error& error) {
    tl::Fail(ErrorKind::kInternal, "cannot start a thread for the GPU: {}",
             error.what());
  }
}

void Worker::Hurry() {
  const std::lock_guard lock(mutex_);
  RaiseFailure();
  wanted_ = last_;
  if (asleep_) more_.notify_one();
}

std::unique_lock<std::mutex> Worker::Pause() {
  SpinUntil([&] { return run_ == posted_; });
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return queue_.empty() && !at_work_; });
  RaiseFailure();
  return lock;
}

// f without the lock. The engine is this thread's meanwhile.
template <class F>
void Worker::Do(std::unique_lock<std::mutex>& lock, F f) {
  at_work_ = true;
  lock.unlock();
  std::optional<Error> failure;
  try {
    f();
  } catch (const Error& error) {
    failure = error;
  } catch (const std::exception& error) {
    failure = Error(ErrorKind::kInternal, error.what());
  }
  lock.lock();
  at_work_ = false;
  if (failure) {
    failure_ = failure;
    queue_.clear();
    run_ = posted_.load();
  }
}

void Worker::RunFirst(std::unique_lock<std::mutex>& lock) {
  std::unique_ptr<Batch> batch = std::move(queue_.front());
  queue_.pop_front();
  Do(lock, [&] {
    batch->RunOn(engine_);
    engine_.Promise(batch->ticket);
    if (engine_.steps() >= kMostSteps || IsDone()) engine_.Start();
    batch->Clear();
  });
  spare_.push_back(std::move(batch));
  if (!failure_) ++run_;
  done_.notify_one();
}

// With nothing posted.
void Worker::Rest(std::unique_lock<std::mutex>& lock) {
  const bool open = !failure_ && !engine_.IsAllStarted();
  const auto is_wanted = [&] { return open && engine_.started() < wanted_; };
  if (is_wanted() || (open && IsDone())) {
    Do(lock, [&] { engine_.Start(); });
    done_.notify_one();
    return;
  }
  lock.unlock();
  SpinUntil([&] { return run_ != posted_; });
  lock.lock();
  if (!queue_.empty() || ends_ || is_wanted()) return;
  asleep_ = true;
  if (open) {
    more_.wait_for(lock, kLook);
  } else {
    more_.wait(lock);
  }
  asleep_ = false;
}

void Worker::Loop() {
  const MemoryApart apart;
  std::unique_lock lock(mutex_);
  while (!ends_) {
    if (queue_.empty()) {
      Rest(lock);
    } else {
      RunFirst(lock);
    }
  }
}

}  // namespace tl::cuda
