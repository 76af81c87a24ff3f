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

class Marks {
 public:
  Marks() {
    for (Mark& mark : marks_) {
      Check(cudaEventCreateWithFlags(&mark.event, cudaEventDisableTiming),
            "cudaEventCreate");
    }
  }

  void Add(uint64_t number, cudaStream_t work) {
    const std::lock_guard lock(mutex_);
    Mark& mark = marks_[++count_ % kMost];
    mark.number = number;
    Check(cudaEventRecord(mark.event, work), "cudaEventRecord");
  }
  bool IsDone() {
    const std::lock_guard lock(mutex_);
    if (count_ == 0) return true;
    return cudaEventQuery(marks_[count_ % kMost].event) != cudaErrorNotReady;
  }
  // Waits for the first mark of that number or above, or the first that is known.
  void MakeWait(cudaStream_t stream, uint64_t number) {
    const std::lock_guard lock(mutex_);
    TL_CHECK(count_ > 0 && number <= marks_[count_ % kMost].number);
    const uint64_t known = std::min(count_, kMost);
    uint64_t at = count_;
    while (count_ - at + 1 < known && marks_[(at - 1) % kMost].number >= number) --at;
    Check(cudaStreamWaitEvent(stream, marks_[at % kMost].event, 0),
          "cudaStreamWaitEvent");
  }

 private:
  static constexpr uint64_t kMost = 256;
  struct Mark {
    cudaEvent_t event;
    uint64_t number;
  };

  std::mutex mutex_;  // one thread may mark while another waits
  Mark marks_[kMost];
  uint64_t count_ = 0;
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

void MarkWork(uint64_t mark) {
  const cudaStream_t work = WorkStream();  // opens the card
  TheMarks().Add(mark, work);
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
