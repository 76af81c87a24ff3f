#include "cuda/laps.h"

#include "cuda/memory.h"

namespace tl::cuda {

void Laps::Start() {
  *this = {};
  running_ = true;
}

void Laps::BeginKernels() {
  if (running_) kernels_.push_back({lap_, std::make_unique<Moment>(), nullptr});
}

void Laps::EndKernels() {
  if (running_) kernels_.back().end = std::make_unique<Moment>();
}

uint64_t* Laps::NoteSteps(std::vector<int> laps) {
  if (!running_) return nullptr;
  const auto bytes = static_cast<int64_t>((laps.size() + 1) * sizeof(uint64_t));
  lists_.push_back({Allocate(bytes), std::move(laps)});
  return reinterpret_cast<uint64_t*>(lists_.back().times.get());
}

std::vector<double> Laps::Seconds() {
  Synchronize();
  std::vector<double> seconds(lap_);
  for (const List& list : lists_) {
    std::vector<uint64_t> times(list.laps.size() + 1);
    CopyFromDevice(reinterpret_cast<std::byte*>(times.data()), list.times.get(),
                   static_cast<int64_t>(times.size() * sizeof(uint64_t)));
    for (size_t i = 0; i < list.laps.size(); ++i) {
      seconds[list.laps[i]] += 1e-9 * static_cast<double>(times[i + 1] - times[i]);
    }
  }
  for (const Kernels& run : kernels_) {
    if (run.end) seconds[run.lap] += run.end->SecondsSince(*run.begin);
  }
  *this = {};
  return seconds;
}

}  // namespace tl::cuda
