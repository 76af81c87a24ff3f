#ifdef TL_CUDA_EMULATED

#include <cstdlib>
#include <cstring>

#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

int64_t placed = 0;

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
  static const DeviceInfo card = {"emulated card", 4, 90, int64_t{4} << 30,
                                  227 << 10};
  return card;
}

int64_t FreeMemory() { return Card().memory - placed; }
int64_t PlacedBytes() { return placed; }

// Poisoned: what a kernel does not write is NaN.
std::shared_ptr<std::byte> Allocate(int64_t bytes) {
  const int64_t size = bytes > 0 ? bytes : 1;
  auto* memory = static_cast<std::byte*>(
      std::aligned_alloc(256, (size + 255) / 256 * 256));
  std::memset(memory, 0xff, size);
  placed += size;
  return std::shared_ptr<std::byte>(memory, [size](std::byte* block) {
    placed -= size;
    std::free(block);
  });
}

void CopyToDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
void CopyFromDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
void CopyOnDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes > 0) std::memmove(to, from, bytes);
}
void Fill(std::byte* to, int byte, int64_t bytes) {
  if (bytes > 0) std::memset(to, byte, bytes);
}
void Synchronize() {}

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
