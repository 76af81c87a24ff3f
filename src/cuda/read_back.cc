// Reading results while the card works on: a stream of its own, which waits for
// the mark behind what made them.
#ifndef TL_CUDA_EMULATED

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "cuda/check.h"
#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

// What is read token by token: a row of logits and less.
constexpr int64_t kSmall = int64_t{1} << 20;

// One thread may mark while another waits.
class Marks {
 public:
  Marks() {
    for (cudaEvent_t& event : events_) {
      Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming),
            "cudaEventCreate");
    }
  }

  uint64_t Next(cudaStream_t work) {
    const std::lock_guard lock(mutex_);
    ++last_;
    Check(cudaEventRecord(events_[last_ % kCount], work), "cudaEventRecord");
    return last_;
  }
  bool IsDone() {
    const std::lock_guard lock(mutex_);
    if (last_ == 0) return true;
    return cudaEventQuery(events_[last_ % kCount]) != cudaErrorNotReady;
  }
  // Of marks whose event has become another's, the first that there is.
  void MakeWait(cudaStream_t stream, uint64_t mark) {
    const std::lock_guard lock(mutex_);
    TL_CHECK(mark > 0 && mark <= last_);
    const uint64_t known = std::max(mark, last_ - std::min(last_, kCount) + 1);
    Check(cudaStreamWaitEvent(stream, events_[known % kCount], 0),
          "cudaStreamWaitEvent");
  }

 private:
  static constexpr uint64_t kCount = 256;

  std::mutex mutex_;
  cudaEvent_t events_[kCount];
  uint64_t last_ = 0;
};

Marks& TheMarks() {
  static Marks& marks = *new Marks;
  return marks;
}

struct Reader {
  cudaStream_t stream = nullptr;
  std::byte* aside = nullptr;  // pinned: what is copied elsewhere waits longer

  Reader() {
    Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
          "cudaStreamCreate");
    Check(cudaHostAlloc(reinterpret_cast<void**>(&aside), kSmall,
                        cudaHostAllocDefault),
          "pinned memory");
  }
};

Reader& TheReader() {
  static Reader& reader = *new Reader;
  return reader;
}

cudaStream_t WorkStream() {
  return static_cast<cudaStream_t>(StreamHandle());
}

}  // namespace

uint64_t MarkWork() {
  const cudaStream_t work = WorkStream();  // opens the card
  return TheMarks().Next(work);
}

bool IsDone() { return TheMarks().IsDone(); }

void CopyWhenDone(std::byte* to, const std::byte* from, int64_t bytes,
                  uint64_t mark) {
  WorkStream();
  Reader& reader = TheReader();
  if (mark > 0) TheMarks().MakeWait(reader.stream, mark);
  const bool small = bytes <= kSmall;
  if (bytes > 0) {
    Check(cudaMemcpyAsync(small ? reader.aside : to, from, bytes,
                          cudaMemcpyDeviceToHost, reader.stream),
          "copy from the GPU");
  }
  Check(cudaStreamSynchronize(reader.stream), "computing");
  if (small && bytes > 0) std::memcpy(to, reader.aside, bytes);
}

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
