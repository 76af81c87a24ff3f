#include "cuda/engine.h"

#include <algorithm>

#include "base/error.h"
#include "base/set_while.h"
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

}  // namespace

void Engine::Run(OpId op, const KernelArgs& args) {
  const auto row = static_cast<size_t>(op);
  TL_CHECK(row < std::size(kKernels) && kKernels[row] != nullptr);
  {
    const SetWhile at_work(list_at_work_);
    if (list_.Add(op, args, laps_.lap())) {
      has_token_ |= op == OpId::Argmax;
      return;
    }
  }
  Flush();
  laps_.BeginKernels();
  kKernels[row](args);
  laps_.EndKernels();
}

void Engine::CopyIn(std::span<const HostBytes> all) {
  Flush();
  CopyToDevice(all);
}

void Engine::Write(std::byte* to, const std::byte* from, int64_t bytes) {
  {
    const SetWhile at_work(list_at_work_);
    if (list_.AddBytes(to, from, bytes)) return;
  }
  const HostBytes all = {to, from, bytes};
  CopyIn({&all, 1});
}

void Engine::EndRun(std::span<const std::byte> scratch) {
  list_.Forget(scratch);
  if (has_token_) Flush();  // that is what a program waits for
}

void Engine::Flush() {
  has_token_ = false;
  {
    const SetWhile at_work(list_at_work_);
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
  {
    const std::lock_guard lock(marks_mutex_);
    marks_.push_back({promised_, MarkWork()});
    if (marks_.size() > kMostMarks) marks_.pop_front();
  }
  started_.store(promised_, std::memory_order_release);
}

// Of one that is not remembered the first that is: it was given later.
uint64_t Engine::MarkOf(Ticket ticket) {
  if (ticket == 0) return 0;
  const std::lock_guard lock(marks_mutex_);
  const auto mark = std::ranges::lower_bound(marks_, ticket, {}, &Mark::ticket);
  TL_CHECK(mark != marks_.end());
  return mark->number;
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
