#ifndef TL_CUDA_EMULATED

#include "cuda/runtime.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/error.h"
#include "cuda/check.h"
#include "cuda/staging.h"

namespace tl::cuda {
namespace {

// Our kernels use instructions from here on.
constexpr int kLeastCapability = 75;
constexpr int64_t kAlignment = 256;
// Sizes are rounded up so that blocks of nearly the same size serve each other:
// at most an eighth is wasted.
constexpr int64_t kSizeSteps = 8;

int64_t RoundedSize(int64_t bytes) {
  int64_t step = kAlignment;
  while (step * 2 * kSizeSteps <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

std::string Megabytes(int64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

// Memory of the card, freed blocks kept by size. One stream uses all of it, so
// that a block may be handed out again before its last use has happened.
class Memory {
 public:
  std::byte* Take(int64_t size) {
    std::vector<std::byte*>& free = free_[size];
    std::byte* block = nullptr;
    if (!free.empty()) {
      block = free.back();
      free.pop_back();
      kept_ -= size;
    } else {
      block = New(size);
    }
    placed_ += size;
    return block;
  }

  void Return(std::byte* block, int64_t size) {
    placed_ -= size;
    kept_ += size;
    free_[size].push_back(block);
  }

  int64_t placed() const { return placed_; }
  int64_t kept() const { return kept_; }

 private:
  std::byte* New(int64_t size) {
    void* block = nullptr;
    // Some bytes more: vector loads may reach behind the end.
    cudaError_t status = cudaMalloc(&block, size + kAlignment);
    if (status == cudaErrorMemoryAllocation && kept_ > 0) {
      cudaGetLastError();
      ReleaseKept();
      status = cudaMalloc(&block, size + kAlignment);
    }
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      Fail(ErrorKind::kInternal,
           "out of memory on the GPU: {} more are needed, {} are placed by this "
           "program, {} of {} are free",
           Megabytes(size), Megabytes(placed_), Megabytes(FreeMemory()),
           Megabytes(Card().memory));
    }
    Check(status, "cudaMalloc");
    return static_cast<std::byte*>(block);
  }

  void ReleaseKept() {
    Synchronize();
    for (auto& [size, blocks] : free_) {
      for (std::byte* block : blocks) cudaFree(block);
      blocks.clear();
    }
    kept_ = 0;
  }

  std::map<int64_t, std::vector<std::byte*>> free_;
  int64_t placed_ = 0;
  int64_t kept_ = 0;
};

// Never destroyed: tensors of static lifetime may outlive everything else, and
// the driver frees what a process leaves.
Memory& TheMemory() {
  static Memory& memory = *new Memory;
  return memory;
}

cudaStream_t Stream() {
  static const cudaStream_t stream = [] {
    Card();
    cudaStream_t made = nullptr;
    Check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking),
          "cudaStreamCreate");
    return made;
  }();
  return stream;
}

Availability LookForCard() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) return {false, cudaGetErrorString(status)};
  if (count == 0) return {false, "no CUDA device"};
  int major = 0, minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
  if (major * 10 + minor < kLeastCapability) {
    return {false, fmt::format("its compute capability is {}.{}, at least {}.{} "
                               "is needed", major, minor, kLeastCapability / 10,
                               kLeastCapability % 10)};
  }
  return {true, ""};
}

int AttributeOf(cudaDeviceAttr attribute) {
  int value = 0;
  Check(cudaDeviceGetAttribute(&value, attribute, 0), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace

void Check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  Fail(ErrorKind::kInternal, "GPU: {}: {} ({})", what, cudaGetErrorString(status),
       cudaGetErrorName(status));
}

const Availability& FindCard() {
  static const Availability found = LookForCard();
  return found;
}

const DeviceInfo& Card() {
  static const DeviceInfo card = [] {
    if (!FindCard().available) {
      Fail(ErrorKind::kInternal, "no GPU: {}", FindCard().why);
    }
    Check(cudaSetDevice(0), "cudaSetDevice");
    cudaDeviceProp properties;
    Check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    return DeviceInfo{properties.name, properties.multiProcessorCount,
                      properties.major * 10 + properties.minor,
                      static_cast<int64_t>(properties.totalGlobalMem),
                      AttributeOf(cudaDevAttrMaxSharedMemoryPerBlockOptin)};
  }();
  return card;
}

int64_t FreeMemory() {
  size_t free = 0, total = 0;
  Card();
  Check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return static_cast<int64_t>(free) + TheMemory().kept();
}

int64_t PlacedBytes() { return TheMemory().placed(); }

std::shared_ptr<std::byte> Allocate(int64_t bytes) {
  Card();
  const int64_t size = RoundedSize(std::max<int64_t>(bytes, 1));
  return std::shared_ptr<std::byte>(
      TheMemory().Take(size),
      [size](std::byte* block) { TheMemory().Return(block, size); });
}

void CopyToDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  // CUDA itself copies small arguments aside before it returns.
  constexpr int64_t kSmall = 64 << 10;
  if (bytes <= 0) return;
  if (bytes > kSmall) return StageToDevice(to, from, bytes, Stream());
  Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, Stream()),
        "copy to the GPU");
}

void CopyFromDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes > 0) {
    Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, Stream()),
          "copy from the GPU");
  }
  Synchronize();
}

void CopyOnDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes <= 0) return;
  Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, Stream()),
        "copy on the GPU");
}

void Fill(std::byte* to, int byte, int64_t bytes) {
  if (bytes <= 0) return;
  Check(cudaMemsetAsync(to, byte, bytes, Stream()), "fill on the GPU");
}

void Synchronize() { Check(cudaStreamSynchronize(Stream()), "computing"); }

void* StreamHandle() { return Stream(); }

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
