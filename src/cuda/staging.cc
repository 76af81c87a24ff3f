#ifndef TL_CUDA_EMULATED

#include "cuda/staging.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "base/parallel.h"
#include "cuda/check.h"

namespace tl::cuda {
namespace {

constexpr int64_t kChunk = int64_t{8} << 20;
constexpr int kChunks = 4;
// What a thread reads at a time.
constexpr int64_t kPiece = int64_t{512} << 10;

// Pinned memory, made at the first large copy and kept.
class Ring {
 public:
  Ring() {
    Check(cudaHostAlloc(reinterpret_cast<void**>(&memory_), kChunk * kChunks,
                        cudaHostAllocDefault),
          "pinned memory");
    for (cudaEvent_t& event : fetched_) {
      Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming),
            "cudaEventCreate");
    }
  }

  // The next chunk, when the card is done with what was in it.
  std::byte* Next() {
    at_ = (at_ + 1) % kChunks;
    Check(cudaEventSynchronize(fetched_[at_]), "copy to the GPU");
    return memory_ + at_ * kChunk;
  }
  void Send(std::byte* to, int64_t bytes, cudaStream_t stream) {
    Check(cudaMemcpyAsync(to, memory_ + at_ * kChunk, bytes,
                          cudaMemcpyHostToDevice, stream),
          "copy to the GPU");
    Check(cudaEventRecord(fetched_[at_], stream), "cudaEventRecord");
  }

 private:
  std::byte* memory_ = nullptr;
  cudaEvent_t fetched_[kChunks];
  int at_ = 0;
};

// From the file rather than from its mapping: no page of it needs to be entered
// into this process's tables. What the file cannot give comes from the mapping,
// which knows what to say of a file that shrank.
void Read(std::byte* to, const std::byte* from, int64_t bytes,
          const MappedFile* file) {
  if (file) {
    const int64_t offset = from - file->bytes().data();
    if (pread(file->descriptor(), to, bytes, offset) == bytes) return;
  }
  std::memcpy(to, from, bytes);
}

}  // namespace

void StageToDevice(std::byte* to, const std::byte* from, int64_t bytes,
                   cudaStream_t stream) {
  static Ring& ring = *new Ring;
  const auto file = MappedFile::Containing(from);
  for (int64_t at = 0; at < bytes; at += kChunk) {
    const int64_t count = std::min(kChunk, bytes - at);
    std::byte* chunk = ring.Next();
    ParallelFor(count, kPiece, [&](int64_t begin, int64_t end) {
      Read(chunk + begin, from + at + begin, end - begin, file.get());
    });
    ring.Send(to + at, count, stream);
  }
}

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
