#include "cuda/backend.h"

#include <array>
#include <optional>
#include <type_traits>

#include "base/error.h"
#include "base/set_while.h"
#include "cuda/cublaslt.h"
#include "cuda/decode_counts.h"
#include "cuda/engine.h"
#include "cuda/memory.h"
#include "cuda/runtime.h"
#include "cuda/worker.h"

namespace tl {
namespace {

// What is larger keeps the card busy for longer than it takes to start.
constexpr int64_t kMostElements = 64 * 1024;
constexpr int64_t kMostBytes = 4 * 1024;

// One row times a matrix whose columns lie as its rows would, and that no kernel has to
// convert first.
bool IsSmallProduct(const KernelArgs& args) {
  constexpr int64_t kMostColumns = int64_t{1} << 20;
  const View &x = args.inputs[0], &w = args.inputs[1];
  return x.rank > 0 && x.size() == x.dims[x.rank - 1] && w.rank == 2 &&
         w.strides[0] == 1 && (IsPacked(w.dtype) || w.dtype == x.dtype) &&
         args.outputs[0].size() <= kMostColumns;
}

// Whether an operation can be started later: its operands cannot make it fail then, it
// needs little memory, and takes about as long to start as to run.
bool CanWait(OpId op, const KernelArgs& args) {
  const View& out = args.outputs[0];
  switch (op) {
    case OpId::Identity:
    case OpId::RmsNorm:
    case OpId::LayerNorm:
    case OpId::Rope:
    case OpId::Attention:
    case OpId::Softmax:
    case OpId::Arange:
      return out.size() <= kMostElements;
    case OpId::Matmul:
      return IsSmallProduct(args);
    case OpId::Assign:
      return args.inputs[0].data == out.data &&
             args.inputs[1].size() <= kMostElements;
    case OpId::IndexSelect:
      return args.indices_checked && out.size() <= kMostElements;
    case OpId::Argmax:
    case OpId::NextToken:
      return out.size() == 1;
    default:
      return false;
  }
}

class CudaBackend : public Backend {
 public:
  CudaBackend() {
    cuda::TheMemory().set_before_release([this] { return StartForRelease(); });
  }
  ~CudaBackend() override {
    worker_.reset();  // whose work uses what is deleted here
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
    CopyAllIn(std::array{HostBytes{to, from, bytes}});
  }
  void CopyAllIn(std::span<const HostBytes> all) override {
    int64_t bytes = 0;
    for (const HostBytes& one : all) bytes += one.bytes;
    if (!MayPost() || bytes > kMostBytes) {
      has_direct_work_ = true;
      return Directly([&] { engine_.CopyIn(all); });
    }
    for (const HostBytes& one : all) {
      OpenBatch().AddCopyIn(one.to, one.from, one.bytes);
    }
  }
  void CopyOut(std::byte* to, const std::byte* from, int64_t bytes,
               Ticket ticket) override {
    if (engine_.started() < ticket) {
      Directly([&] { engine_.Start(); });
    } else {
      worker_->Hurry();
    }
    cuda::CopyWhenDone(to, from, bytes, engine_.MarkOf(ticket));
  }

  void Run(OpId op, const KernelArgs& args) override {
    if (MayPost() && CanWait(op, args)) {
      OpenBatch().Add(op, args);
    } else {
      has_direct_work_ = true;
      Directly([&] { engine_.Run(op, args); });
    }
  }
  Ticket Submit(std::shared_ptr<const void> kept,
                std::span<const std::byte> scratch) override {
    if (!batch_ && kept && !has_direct_work_) return ticket_;  // only views were made
    ++ticket_;
    if (batch_ && kept && !has_direct_work_ &&
        !cuda::TheMemory().HasMuchToDelete()) {
      batch_->ticket = ticket_;
      batch_->kept = std::move(kept);
      batch_->scratch = scratch;
      worker_->Post(std::move(batch_));
    } else {
      Directly([&] {
        engine_.Promise(ticket_);
        engine_.Settle();
      });
      has_direct_work_ = false;
    }
    return ticket_;
  }
  void Wait() override {
    Directly([&] {
      engine_.Settle();
      cuda::Synchronize();
    });
  }

  void StartLaps() override {
    Directly([&] { engine_.StartLaps(); });
    is_timed_ = true;
  }
  void EndLap() override { engine_.EndLap(); }
  std::vector<double> Laps() override {
    is_timed_ = false;
    return Directly([&] { return engine_.TakeLaps(); });
  }

 private:
  bool MayPost() const { return !is_timed_ && !has_memory_limit(); }
  cuda::Batch& OpenBatch() {
    if (!batch_) batch_ = worker_->NewBatch();
    return *batch_;
  }

  // f with the engine, behind all that came before it.
  template <class F>
  std::invoke_result_t<F> Directly(F f) {
    if (is_direct_) return f();
    const auto pause = worker_->Pause();
    const SetWhile direct(is_direct_);
    RunBatch();
    struct Delete {
      cuda::Engine& engine;
      ~Delete() {
        if (engine.steps() == 0) cuda::TheMemory().DeleteReturned();
      }
    } const delete_returned{engine_};
    return f();
  }
  // As the worker would, while that is paused.
  void RunBatch() {
    const std::unique_ptr<cuda::Batch> batch = std::move(batch_);
    if (!batch) return;
    has_direct_work_ = true;
    const SetWhile running(runs_batch_);
    const cuda::MemoryApart apart;
    try {
      batch->RunOn(engine_);
    } catch (const Error& error) {
      worker_->Fail(error);
      throw;
    }
  }
  bool StartForRelease() {
    if (runs_batch_) return false;  // what is still to be started uses it
    return Directly([&] { return engine_.StartForRelease(); });
  }

  cuda::Engine engine_;
  std::optional<cuda::Worker> worker_{engine_};
  // What the worker will be given; else it is null.
  std::unique_ptr<cuda::Batch> batch_;
  Ticket ticket_ = 0;
  bool has_direct_work_ = false;  // since the last ticket
  bool is_direct_ = false;
  bool runs_batch_ = false;
  bool is_timed_ = false;
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
