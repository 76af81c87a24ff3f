#include "cuda/backend.h"

#include <optional>

#include "base/error.h"
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

// The rows of one query, and no more keys than those of a context.
bool IsOneRow(const View& x) { return x.size() == x.dims[x.rank - 1]; }

// Whether an operation can be started later: it cannot fail then, needs little memory,
// and takes about as long to start as to run.
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
      return args.inputs[0].rank > 0 && IsOneRow(args.inputs[0]);
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
  bool MayPost() const { return !is_timed_ && !has_memory_limit(); }
  cuda::Batch& OpenBatch() {
    if (!batch_) batch_ = worker_->NewBatch();
    return *batch_;
  }

  // f with the engine, behind all that came before it.
  template <class F>
  auto Directly(F f) {
    if (is_direct_) return f();
    struct Flag {
      bool& flag;
      explicit Flag(bool& flag) : flag(flag) { flag = true; }
      ~Flag() { flag = false; }
    };
    const auto pause = worker_->Pause();
    const Flag direct(is_direct_);
    if (const std::unique_ptr<cuda::Batch> batch = std::move(batch_)) {
      batch->RunOn(engine_);
    }
    struct Delete {
      cuda::Engine& engine;
      ~Delete() {
        if (engine.steps() == 0) cuda::TheMemory().DeleteReturned();
      }
    } const delete_returned{engine_};
    return f();
  }
  bool StartForRelease() {
    return Directly([&] { return engine_.StartForRelease(); });
  }

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
    if (MayPost() && bytes <= kMostBytes) {
      OpenBatch().AddCopyIn(to, from, bytes);
    } else {
      Directly([&] { engine_.CopyIn(to, from, bytes); });
    }
  }
  void CopyOut(std::byte* to, const std::byte* from, int64_t bytes,
               Ticket ticket) override {
    if (engine_.started() < ticket) {
      Directly([&] { engine_.Start(); });
    } else {
      worker_->Hurry();
    }
    cuda::CopyWhenDone(to, from, bytes, ticket);
  }

  void Run(OpId op, const KernelArgs& args) override {
    if (MayPost() && CanWait(op, args)) {
      OpenBatch().Add(op, args);
    } else {
      Directly([&] { engine_.Run(op, args); });
      ran_directly_ = true;
    }
  }
  Ticket Submit(std::shared_ptr<const void> kept) override {
    if (!batch_ && kept && !ran_directly_) return ticket_;  // only views were made
    ++ticket_;
    if (batch_ && kept && !ran_directly_ && !cuda::TheMemory().HasMuchToDelete()) {
      batch_->ticket = ticket_;
      batch_->kept = std::move(kept);
      worker_->Post(std::move(batch_));
    } else {
      Directly([&] {
        engine_.Promise(ticket_);
        engine_.Settle();
      });
      ran_directly_ = false;
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
  cuda::Engine engine_;
  std::optional<cuda::Worker> worker_{engine_};
  // What the worker will be given; else it is null.
  std::unique_ptr<cuda::Batch> batch_;
  Ticket ticket_ = 0;
  bool ran_directly_ = false;  // since the last ticket
  bool is_direct_ = false;
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
