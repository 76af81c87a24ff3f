#ifdef TL_CUDA_EMULATED

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "base/error.h"
#include "cuda/memory.h"
#include "cuda/runtime.h"
#include "cuda/upload.h"

namespace tl::cuda {
namespace {

// As TL_EMULATED_GPU_MEMORY says, in bytes.
int64_t MemoryOfCard() {
  const char* bytes = std::getenv("TL_EMULATED_GPU_MEMORY");
  return bytes ? std::strtoll(bytes, nullptr, 10) : int64_t{4} << 30;
}

// Poisoned: what a kernel does not write is NaN.
class Processor final : public MemorySource {
 public:
  std::byte* New(int64_t bytes) override {
    const std::lock_guard lock(mutex_);
    if (bytes > free()) return nullptr;
    const int64_t size = (bytes + 255) / 256 * 256;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(256, size));
    std::memset(memory, 0xff, size);
    sizes_[memory] = bytes;
    used_ += bytes;
    return memory;
  }
  void Delete(std::byte* memory) override {
    const std::lock_guard lock(mutex_);
    used_ -= sizes_.extract(memory).mapped();
    std::free(memory);
  }
  int64_t free() const override { return total() - used_; }
  int64_t total() const override { return Card().memory; }

 private:
  std::mutex mutex_;
  std::unordered_map<std::byte*, int64_t> sizes_;
  std::atomic<int64_t> used_ = 0;
};

}  // namespace

// A program's tensors are on the emulated card only when it is asked for: it is
// there to test with, and slow.
const Availability& FindCard() {
  static const Availability found =
      std::getenv("TL_EMULATED_GPU")
          ? Availability{true, ""}
          : Availability{false, "TL_EMULATED_GPU is not set"};
  return found;
}

const DeviceInfo& Card() {
  static const DeviceInfo card = {"emulated card", 4, 90, MemoryOfCard(),
                                  227 << 10};
  return card;
}

MemorySource& TheMemorySource() {
  static Processor& processor = *new Processor;
  return processor;
}

void CopyToDevice(std::span<const HostBytes> all) {
  for (const HostBytes& one : all) {
    if (one.bytes > 0) std::memcpy(one.to, one.from, one.bytes);
  }
}
void CopyFromDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

namespace {
std::atomic<uint64_t> last_mark = 0;
}  // namespace

uint64_t MarkWork() { return ++last_mark; }
bool IsDone() { return true; }
void CopyWhenDone(std::byte* to, const std::byte* from, int64_t bytes,
                  uint64_t mark) {
  TL_CHECK(mark <= last_mark);
  CopyFromDevice(to, from, bytes);
}
void CopyOnDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes > 0) std::memmove(to, from, bytes);
}
void Fill(std::byte* to, int byte, int64_t bytes) {
  if (bytes > 0) std::memset(to, byte, bytes);
}
void Synchronize() {}

uint64_t WorkCount() {
  static uint64_t count = 0;
  return ++count;  // other work is not counted: as if some came between
}

// Where it is as large as it was asked for.
struct Upload::State {
  std::shared_ptr<std::byte> bytes;
};

Upload::Upload() : state_(std::make_unique<State>()) {}
Upload::~Upload() = default;

const std::byte* Upload::Put(const std::byte* from, int64_t bytes) {
  state_->bytes = AllocateScratch(bytes);
  std::memcpy(state_->bytes.get(), from, bytes);
  return state_->bytes.get();
}
void Upload::Launched() { state_->bytes = nullptr; }

struct Moment::State {
  std::chrono::steady_clock::time_point time = std::chrono::steady_clock::now();
};

Moment::Moment() : state_(std::make_unique<State>()) {}
Moment::~Moment() = default;

double Moment::SecondsSince(const Moment& begin) const {
  return std::chrono::duration<double>(state_->time - begin.state_->time).count();
}

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
