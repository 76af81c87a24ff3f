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
constexpr int64_t kLeastBytes = 128 << 10;

struct Slot {
  std::byte* pinned = nullptr;
  std::shared_ptr<std::byte> on_card;
  int64_t room = 0;
  cudaEvent_t copied = nullptr, used = nullptr;

  void Grow(int64_t bytes) {
    if (bytes <= room) return;
    if (pinned) cudaFreeHost(pinned);
    pinned = nullptr;
    room = 0;
    on_card = AllocateScratch(bytes);
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
  int next = 0;

  State() {
    Work();  // opens the card
    Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
          "cudaStreamCreate");
    for (Slot& slot : slots) {
      slot.copied = NewEvent();
      slot.used = NewEvent();
    }
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
  Slot& slot = state_->slots[state_->next];
  Check(cudaEventSynchronize(slot.used), "computing");
  slot.Grow(std::max(bytes, kLeastBytes));
  std::memcpy(slot.pinned, from, bytes);
  Check(cudaMemcpyAsync(slot.on_card.get(), slot.pinned, bytes,
                        cudaMemcpyHostToDevice, state_->stream),
        "copy to the GPU");
  Check(cudaEventRecord(slot.copied, state_->stream), "cudaEventRecord");
  Check(cudaStreamWaitEvent(Work(), slot.copied, 0), "cudaStreamWaitEvent");
  return slot.on_card.get();
}

void Upload::Launched() {
  Check(cudaEventRecord(state_->slots[state_->next].used, Work()), "cudaEventRecord");
  state_->next = (state_->next + 1) % kSlots;
}

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
