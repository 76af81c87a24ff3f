#include "cuda/engine.h"

#include "base/error.h"
#include "cuda/decode_counts.h"
#include "cuda/fault.h"
#include "cuda/kernels.h"
#include "cuda/memory.h"
#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

using Kernel = void (*)(const KernelArgs&);

// In the order of OpId. Elementwise ops come as Identity with a program; views
// and leaves are never run.
constexpr Kernel kKernels[] = {
#define TL_UNARY(id, ...) Elementwise,
#define TL_BINARY(id, ...) Elementwise,
#define TL_TERNARY(id, ...) Elementwise,
#include "ops/elementwise.def"
#define TL_VIEW(id, ...) nullptr,
#define TL_KERNEL(id, ...) id,
#include "ops/structured.def"
};

struct Mark {
  bool& flag;
  explicit Mark(bool& flag) : flag(flag) { flag = true; }
  ~Mark() { flag = false; }
};

}  // namespace

void Engine::Run(OpId op, const KernelArgs& args) {
  const auto row = static_cast<size_t>(op);
  TL_CHECK(row < std::size(kKernels) && kKernels[row] != nullptr);
  {
    const Mark at_work(list_at_work_);
    if (list_.Add(op, args, laps_.lap())) return;
  }
  Flush();
  laps_.BeginKernels();
  kKernels[row](args);
  laps_.EndKernels();
}

void Engine::CopyIn(std::byte* to, const std::byte* from, int64_t bytes) {
  Flush();
  CopyToDevice(to, from, bytes);
}

void Engine::Write(std::byte* to, const std::byte* from, int64_t bytes) {
  {
    const Mark at_work(list_at_work_);
    if (list_.AddBytes(to, from, bytes)) return;
  }
  CopyIn(to, from, bytes);
}

void Engine::Flush() {
  {
    const Mark at_work(list_at_work_);
    list_.Flush(&laps_);
  }
  ScratchMemory().DeleteReturned();
}

void Engine::Promise(Ticket ticket) {
  promised_ = ticket;
  if (list_.steps() == 0) Start();
}

void Engine::Start() {
  Flush();
  if (IsAllStarted()) return;
  MarkWork(promised_);
  started_.store(promised_, std::memory_order_release);
}

void Engine::Settle() {
  Flush();
  RaiseFaults();
  ReadCounts();
  Start();
}

bool Engine::StartForRelease() {
  if (list_at_work_) return false;
  Flush();
  return true;
}

void Engine::StartLaps() {
  Flush();
  laps_.Start();
}

std::vector<double> Engine::TakeLaps() {
  Flush();
  return laps_.Seconds();
}

}  // namespace tl::cuda
