#include "cuda/backend.h"

#include "base/error.h"
#include "cuda/cublaslt.h"
#include "cuda/decode_counts.h"
#include "cuda/fault.h"
#include "cuda/kernels.h"
#include "cuda/laps.h"
#include "cuda/memory.h"
#include "cuda/runtime.h"
#include "cuda/step_list.h"

namespace tl {
namespace {

using Kernel = void (*)(const KernelArgs&);

// In the order of OpId. Elementwise ops come as Identity with a program; views
// and leaves are never run.
constexpr Kernel kKernels[] = {
#define TL_UNARY(id, ...) cuda::Elementwise,
#define TL_BINARY(id, ...) cuda::Elementwise,
#define TL_TERNARY(id, ...) cuda::Elementwise,
#include "ops/elementwise.def"
#define TL_VIEW(id, ...) nullptr,
#define TL_KERNEL(id, ...) cuda::id,
#include "ops/structured.def"
};

class CudaBackend : public Backend {
 public:
  CudaBackend() {
    cuda::TheMemory().set_before_release([this] { return FlushForRelease(); });
  }
  ~CudaBackend() override {
    cuda::TheMemory().set_before_release(nullptr);
    cuda::TheMemory().DeleteReturned();
    cuda::ForgetCounts();
  }

  std::string_view name() const override { return "cuda"; }
  Device device() const override { return Device::kGpu; }

  std::shared_ptr<std::byte> Allocate(int64_t bytes) override {
    return cuda::Allocate(bytes);
  }
  DeviceMemory Memory() const override {
    const cuda::Memory& memory = cuda::TheMemory();
    return {memory.total(), memory.free()};
  }
  bool has_memory_limit() const override { return cuda::TheMemory().limited(); }
  void LimitMemory(int64_t bytes) override { cuda::TheMemory().Limit(bytes); }
  void CopyIn(std::byte* to, const std::byte* from, int64_t bytes) override {
    Flush();
    cuda::CopyToDevice(to, from, bytes);
  }
  void CopyOut(std::byte* to, const std::byte* from, int64_t bytes,
               Ticket ticket) override {
    cuda::CopyWhenDone(to, from, bytes, ticket);
  }
  void Run(OpId op, const KernelArgs& args) override {
    const auto row = static_cast<size_t>(op);
    TL_CHECK(row < std::size(kKernels) && kKernels[row] != nullptr);
    if (Add(op, args)) return;
    Flush();
    laps_.BeginKernels();
    kKernels[row](args);
    laps_.EndKernels();
  }
  Ticket Submit() override {
    Flush();
    cuda::RaiseFaults();
    cuda::ReadCounts();
    return cuda::MarkWork();
  }
  bool Busy() override { return !cuda::IsDone(); }
  void Wait() override {
    Flush();
    cuda::RaiseFaults();
    cuda::ReadCounts();
    cuda::Synchronize();
  }

  void StartLaps() override {
    Flush();
    laps_.Start();
  }
  void EndLap() override { laps_.End(); }
  std::vector<double> Laps() override {
    Flush();
    return laps_.Seconds();
  }

 private:
  // While the list is at work it cannot be told to start.
  template <class F>
  auto AtWork(F f) {
    struct Mark {
      bool& at_work;
      explicit Mark(bool& flag) : at_work(flag) { at_work = true; }
      ~Mark() { at_work = false; }
    } mark(list_at_work_);
    return f();
  }
  bool Add(OpId op, const KernelArgs& args) {
    return AtWork([&] { return list_.Add(op, args, laps_.lap()); });
  }
  void Flush() {
    AtWork([&] { list_.Flush(&laps_); });
    cuda::TheMemory().DeleteReturned();
  }
  bool FlushForRelease() {
    if (list_at_work_) return false;
    Flush();
    return true;
  }

  cuda::StepList list_;
  cuda::Laps laps_;
  bool list_at_work_ = false;
};

}  // namespace

std::unique_ptr<Backend> OpenCuda() {
  if (!cuda::FindCard().available) return nullptr;
  return std::make_unique<CudaBackend>();
}

std::string DescribeCuda() {
  const cuda::Availability& found = cuda::FindCard();
  if (!found.available) return "none: " + found.why;
  const std::string& missing = cuda::WhyNoCublasLt();
  return fmt::format("{}, {:.1f} GiB; {}", cuda::Card().name,
                     static_cast<double>(cuda::Card().memory) / (1 << 30),
                     missing.empty() ? "cuBLASLt" : "no cuBLASLt: " + missing);
}

}  // namespace tl
