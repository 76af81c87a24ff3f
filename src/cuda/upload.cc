#ifndef TL_CUDA_EMULATED

#include "cuda/upload.h"

#include <algorithm>
#include <cstring>

#include "cuda/check.h"
#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

// Launches that are under way at once, some to a token; one more waits for the first.
constexpr int kSlots = 16;
constexpr int64_t kStep = 16 << 10;

struct Slot {
  std::byte* pinned = nullptr;
  std::shared_ptr<std::byte> on_card;
  int64_t room = 0;
  uint64_t launch = 0;  // that used it last
  cudaEvent_t copied = nullptr, used = nullptr;

  void Grow(int64_t bytes) {
    if (bytes <= room) return;
    if (pinned) cudaFreeHost(pinned);
    pinned = nullptr;
    room = 0;
    on_card = AllocateScratch(bytes);
    // Work that was started may still use what it was before, and this stream does not
    // wait for that.
    Synchronize();
    Check(cudaHostAlloc(reinterpret_cast<void**>(&pinned), bytes,
                        cudaHostAllocDefault),
          "pinned memory");
    room = bytes;
  }
};

cudaStream_t Work() { return static_cast<cudaStream_t>(StreamHandle()); }

cudaEvent_t NewEvent() {
  cudaEvent_t event = nullptr;
  Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  return event;
}

}  // namespace

struct Upload::State {
  cudaStream_t stream = nullptr;
  Slot slots[kSlots];
  Slot* last = nullptr;
  uint64_t launches = 0;

  State() {
    Work();  // opens the card
    Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
          "cudaStreamCreate");
    for (Slot& slot : slots) {
      slot.copied = NewEvent();
      slot.used = NewEvent();
    }
  }
  // The first whose launch is over, so that few have memory; else the oldest.
  Slot& Free() {
    last = std::ranges::find_if(slots, [](const Slot& slot) {
      return cudaEventQuery(slot.used) == cudaSuccess;
    });
    if (last == std::end(slots)) {
      last = std::ranges::min_element(slots, {}, &Slot::launch);
      Check(cudaEventSynchronize(last->used), "computing");
    }
    last->launch = ++launches;
    return *last;
  }
  ~State() {
    for (Slot& slot : slots) {
      cudaEventSynchronize(slot.used);
      cudaEventDestroy(slot.copied);
      cudaEventDestroy(slot.used);
      if (slot.pinned) cudaFreeHost(slot.pinned);
    }
    if (stream) cudaStreamDestroy(stream);
  }
};

Upload::Upload() = default;
Upload::~Upload() = default;

const std::byte* Upload::Put(const std::byte* from, int64_t bytes) {
  if (!state_) state_ = std::make_unique<State>();
  Slot& slot = state_->Free();
  slot.Grow((bytes + kStep - 1) / kStep * kStep);
  std::memcpy(slot.pinned, from, bytes);
  Check(cudaMemcpyAsync(slot.on_card.get(), slot.pinned, bytes,
                        cudaMemcpyHostToDevice, state_->stream),
        "copy to the GPU");
  Check(cudaEventRecord(slot.copied, state_->stream), "cudaEventRecord");
  Check(cudaStreamWaitEvent(Work(), slot.copied, 0), "cudaStreamWaitEvent");
  return slot.on_card.get();
}

void Upload::Launched() {
  Check(cudaEventRecord(state_->last->used, Work()), "cudaEventRecord");
}

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
