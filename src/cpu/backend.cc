#include "cpu/backend.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "cpu/block_cache.h"
#include "cpu/kernels.h"
#include "cpu/simd_targets.h"

namespace tl {
namespace {

// Enough for the temporaries of a large step, small beside the memory of a
// machine that can hold one.
constexpr int64_t kKeptBytes = int64_t{1} << 30;

using Kernel = void (*)(const KernelArgs&);

// In the order of OpId. Elementwise ops come as Identity with a program; views
// and leaves are never run.
constexpr Kernel kKernels[] = {
#define TL_UNARY(id, ...) cpu::Elementwise,
#define TL_BINARY(id, ...) cpu::Elementwise,
#define TL_TERNARY(id, ...) cpu::Elementwise,
#include "ops/elementwise.def"
#define TL_VIEW(id, ...) nullptr,
#define TL_KERNEL(id, ...) cpu::id,
#include "ops/structured.def"
};

class CpuBackend : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }
  Device device() const override { return Device::kCpu; }

  std::shared_ptr<std::byte> Allocate(int64_t bytes) override {
    return blocks_->Allocate(bytes);
  }
  void CopyIn(std::byte* to, const std::byte* from, int64_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void CopyOut(std::byte* to, const std::byte* from, int64_t bytes,
               Ticket) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  int PreparedOperand(OpId op) const override {
    return op == OpId::Convolution ? 1 : -1;
  }
  std::shared_ptr<const void> Prepare(OpId, const View& weights,
                                      std::span<const int64_t> ints) override {
    return cpu::PrepareConvolution(weights, ints);
  }
  void Run(OpId op, const KernelArgs& args) override {
    const auto row = static_cast<size_t>(op);
    TL_CHECK(row < std::size(kKernels) && kKernels[row] != nullptr);
    kKernels[row](args);
  }
  void Wait() override {}

 private:
  std::shared_ptr<BlockCache> blocks_ =
      std::make_shared<BlockCache>(kKeptBytes);
};

}  // namespace

std::unique_ptr<Backend> OpenCpu() {
  cpu::RequireSimdTarget();
  return std::make_unique<CpuBackend>();
}

std::string DescribeCpu() {
  return std::string(cpu::SimdTargetName(cpu::SimdTargets()[0]));
}

}  // namespace tl
