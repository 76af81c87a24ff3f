#ifndef TL_CUDA_EMULATED

#include "cuda/runtime.h"

#include <atomic>

#include "base/error.h"
#include "cuda/check.h"
#include "cuda/memory.h"
#include "cuda/staging.h"

namespace tl::cuda {
namespace {

// Our kernels use instructions from here on.
constexpr int kLeastCapability = 75;

class Driver final : public MemorySource {
 public:
  std::byte* New(int64_t bytes) override {
    Card();
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
    Check(status, "cudaMalloc");
    return static_cast<std::byte*>(memory);
  }
  void Delete(std::byte* memory) override {
    Synchronize();
    cudaFree(memory);
  }
  int64_t free() const override {
    size_t free = 0, total = 0;
    Card();
    Check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return static_cast<int64_t>(free);
  }
  int64_t total() const override { return Card().memory; }
};

std::atomic<uint64_t> work_count = 0;

cudaStream_t Stream() {
  ++work_count;
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

MemorySource& TheMemorySource() {
  static Driver driver;
  return driver;
}

void CopyToDevice(std::span<const HostBytes> all) {
  // CUDA itself copies small arguments aside before it returns.
  constexpr int64_t kSmall = 64 << 10;
  std::vector<HostBytes> large;
  for (const HostBytes& one : all) {
    if (one.bytes > kSmall) {
      large.push_back(one);
    } else if (one.bytes > 0) {
      Check(cudaMemcpyAsync(one.to, one.from, one.bytes, cudaMemcpyHostToDevice,
                            Stream()),
            "copy to the GPU");
    }
  }
  StageToDevice(large, Stream());
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

struct Moment::State {
  cudaEvent_t event = nullptr;
};

Moment::Moment() : state_(std::make_unique<State>()) {
  Check(cudaEventCreate(&state_->event), "cudaEventCreate");
  Check(cudaEventRecord(state_->event, Stream()), "cudaEventRecord");
}
Moment::~Moment() { cudaEventDestroy(state_->event); }

double Moment::SecondsSince(const Moment& begin) const {
  float milliseconds = 0;
  Check(cudaEventElapsedTime(&milliseconds, begin.state_->event, state_->event),
        "cudaEventElapsedTime");
  return 1e-3 * static_cast<double>(milliseconds);
}

void* StreamHandle() { return Stream(); }
uint64_t WorkCount() { return work_count; }

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
