// How long operations took on the card, by its own clock: those of a list of
// steps as the list's kernel notes them, others by events before and after their
// kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/runtime.h"

namespace tl::cuda {

class Laps {
 public:
  // Forgets what was noted. What comes from here on is noted.
  void Start();
  void End() { ++lap_; }
  int lap() const { return lap_; }

  // Before and after the kernels of an operation that is in no list.
  void BeginKernels();
  void EndKernels();

  // For a list of as many steps, each of a lap: where its kernel notes when it
  // begins each, and at last when it ends, in nanoseconds.
  uint64_t* NoteSteps(std::vector<int> laps);

  // Seconds of each lap, once all is done. Nothing is noted from here on.
  std::vector<double> Seconds();

 private:
  struct List {
    std::shared_ptr<std::byte> times;
    std::vector<int> laps;
  };
  struct Kernels {
    int lap;
    std::unique_ptr<Moment> begin, end;
  };

  bool running_ = false;
  int lap_ = 0;
  std::vector<List> lists_;
  std::vector<Kernels> kernels_;
};

}  // namespace tl::cuda
