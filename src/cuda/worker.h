// The thread that starts what a program handed over while the program makes more
// of it: for small operations that takes longer than the card takes to do them. Once
// something has failed on it all calls do: what that was to compute is not there, nor
// is what was posted after it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "cuda/batch.h"
#include "cuda/engine.h"

namespace tl::cuda {

class Worker {
 public:
  explicit Worker(Engine& engine) : engine_(engine) {}
  ~Worker();  // without what it had not begun

  // An empty batch.
  std::unique_ptr<Batch> NewBatch();
  // Runs the batch on the engine, later. Lists are left open while the card has other
  // work: the longer they are, the fewer there are.
  void Post(std::unique_ptr<Batch> batch);
  // The program waits for what it has posted: no list is to be left open.
  void Hurry();

  // Waits until all that was posted has been run. While the lock is held the engine is
  // the caller's.
  [[nodiscard]] std::unique_lock<std::mutex> Pause();
  // As if it had failed on the thread. While it is paused.
  void Fail(const Error& error) { failure_ = error; }

 private:
  void Loop();
  template <class F>
  void Do(std::unique_lock<std::mutex>& lock, F f);
  void RunFirst(std::unique_lock<std::mutex>& lock);
  void Rest(std::unique_lock<std::mutex>& lock);
  void RaiseFailure() const;
  void StartThread();

  Engine& engine_;
  std::mutex mutex_;  // of all that follows
  std::condition_variable more_, done_;
  std::deque<std::unique_ptr<Batch>> queue_;
  std::vector<std::unique_ptr<Batch>> spare_;
  bool at_work_ = false;  // the engine is the thread's
  bool asleep_ = false;
  Ticket last_ = 0;    // that was posted
  Ticket wanted_ = 0;  // the program waits for work up to that
  bool ends_ = false;
  std::optional<Error> failure_;
  // Read without the lock as well, by who waits for a moment before it sleeps.
  std::atomic<uint64_t> posted_ = 0;
  std::atomic<uint64_t> run_ = 0;
  std::thread thread_;  // from the first batch on
};

}  // namespace tl::cuda
