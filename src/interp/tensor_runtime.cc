#include "interp/tensor_runtime.h"

#include <algorithm>
#include <array>

#include "backends/backends.h"
#include "base/error.h"
#include "base/file.h"
#include "base/half.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/sandbox.h"

namespace tl {
namespace {

// What pending results may take of the memory that was free at first.
constexpr int64_t kPendingShareOfMemory = 8;

}  // namespace

void WarnNoGpu() {
  static bool warned = false;
  if (warned) return;
  warned = true;
  fmt::print(stderr, "warning: no GPU {}; computing on the CPU\n",
             InSandbox() ? "in the sandbox" : "here");
}

std::unique_ptr<Backend> OpenDevice(const std::string& device) {
  if (!device.empty() && device != "cpu" && device != "gpu") {
    Fail(ErrorKind::kUsage, "unknown device '{}'; expected cpu or gpu", device);
  }
  const std::span<const BackendInfo> backends = Backends();
  for (size_t i = backends.size(); i-- > 0;) {
    const bool is_cpu = backends[i].device == Device::kCpu;
    if (device == "cpu" && !is_cpu) continue;
    if (device == "gpu" && is_cpu) WarnNoGpu();
    if (std::unique_ptr<Backend> backend = backends[i].open()) return backend;
  }
  Fail(ErrorKind::kInternal, "there is no device to compute on");
}

TensorRuntime::TensorRuntime(const TensorOptions& options,
                             const Sources& sources)
    : sources_(sources),
      observer_(options.observer),
      options_(options) {
  if (options.threads > 0) SetThreads(options.threads);
  builder_.set_seed(options.seed);
  builder_.set_exact(options.exact);
  builder_.set_reader([this](const TensorRef& ref) {
    const Tensor& tensor = OnHost(Compute(ref));
    if (tensor.dtype == DType::F16) {
      return double{HalfToFloat(*tensor.as<uint16_t>())};
    }
    return tensor.dtype == DType::F32 ? double{*tensor.as<float>()}
                                      : double(*tensor.as<int32_t>());
  });
}

Executor& TensorRuntime::executor() {
  if (!executor_) {
    backend_ = OpenDevice(options_.device);
    if (options_.gpu_memory > 0) backend_->LimitMemory(options_.gpu_memory);
    executor_.emplace(*backend_, static_cast<Observer*>(this));
    executor_->set_check_finite(options_.check_finite);
  }
  return *executor_;
}

// The value of a node in host memory.
const Tensor& TensorRuntime::OnHost(const Node& node) {
  if (node.value().device == Device::kCpu) return node.value();
  if (!node.mirror()) {
    Tensor copy = MakeTensor(node.dtype(), node.shape());
    executor().backend().CopyOut(copy.data.get(), node.value().data.get(),
                                 copy.bytes(), node.value().ticket);
    node.SetMirror(std::move(copy));
  }
  return node.mirror();
}

Builder& TensorRuntime::At(Span where) {
  builder_.set_location(uint64_t{where.source} << 32 | where.begin);
  return builder_;
}

void TensorRuntime::AddPendingSources(
    std::unordered_set<uint32_t>& sources) const {
  for (const Node* node : builder_.PendingNodes()) {
    sources.insert(static_cast<uint32_t>(node->location() >> 32));
  }
}

Node& TensorRuntime::Compute(const TensorRef& ref) {
  Node* node = static_cast<Node*>(ref.get());
  if (!node->has_value() && node->op() == OpId::kNumber) {
    Tensor tensor = MakeTensor(node->dtype(), Shape{});
    if (node->dtype() == DType::I32) {
      *tensor.as<int32_t>() = static_cast<int32_t>(node->number());
    } else {
      *tensor.as<float>() = static_cast<float>(node->number());
    }
    node->SetValue(std::move(tensor));
  }
  if (!node->has_value()) executor().Run(std::array{node});
  return *node;
}

const Tensor& TensorRuntime::Evaluate(const TensorRef& ref) {
  const bool was_asked_for = static_cast<Node*>(ref.get())->has_value();
  const Node& node = Compute(ref);
  const bool waits = node.value().device != Device::kCpu && !node.mirror();
  // The device was done before the program came to ask: it waits for the program all
  // the time, which makes work fastest if it hands it over at once.
  const bool is_early = was_asked_for && waits && !backend_->Busy();
  if (waits) HandOver();
  ahead_nodes_ = is_early ? kMaxPendingNodes : kFirstNodesAhead;
  return OnHost(node);
}

void TensorRuntime::RequireIntact(const Tensor& tensor) {
  if (!tensor.mapped || !AnyMappedFileDamaged()) return;
  const auto file = MappedFile::Containing(tensor.data.get());
  if (file) file->CheckIntact();
}

// A device that works by itself gets its work while the program makes more of
// it: little at first, so that it begins early, then twice as much each time, so
// that it is asked few times. While it is busy this grows by the first of them, and
// it is not given more: what it gets at once it does without a pause.
int64_t TensorRuntime::PendingNodesLimit() {
  // What one run makes has to be there at once: little, where it is limited.
  const bool limited =
      executor_ ? backend_->has_memory_limit() : options_.gpu_memory > 0;
  if (limited) return max_pending_nodes_ - kMaxPendingNodes + kFirstNodesAhead;
  if (!executor_ || backend_->device() == Device::kCpu) {
    return max_pending_nodes_;
  }
  return std::min(max_pending_nodes_, ahead_nodes_);
}

bool TensorRuntime::ManyBytesArePending() {
  // Asking the system costs more than a small program runs.
  constexpr int64_t kSmall = int64_t{64} << 20;
  if (builder_.pending_bytes() < kSmall) return false;
  if (pending_bytes_limit_ == 0) {
    pending_bytes_limit_ =
        std::max(kSmall, AvailableMemory() / kPendingShareOfMemory);
  }
  return builder_.pending_bytes() >= pending_bytes_limit_;
}

void TensorRuntime::RunIfMuchIsPending() {
  bool many = builder_.pending() >= PendingNodesLimit();
  if (many && builder_.pending() < max_pending_nodes_ && executor_ &&
      !backend_->has_memory_limit() && backend_->Busy()) {
    ahead_nodes_ += kFirstNodesAhead;
    many = false;
  }
  if (!many && !ManyBytesArePending()) return;
  ahead_nodes_ *= 2;
  SweepPending();
}

// So that the device has work while the program waits for it and thinks.
void TensorRuntime::HandOver() {
  const int64_t failed_before = max_pending_nodes_ - kMaxPendingNodes;
  if (backend_->has_memory_limit()) return;
  if (builder_.pending() > failed_before) SweepPending();
}

void TensorRuntime::SweepPending() {
  try {
    executor().Sweep(builder_.PendingNodes());
  } catch (const Error&) {
    // A failing tensor is its reader's business, not that of whoever happened
    // to be at work: the others are computed one by one.
    for (const NodePtr& node : HeldNodes()) {
      try {
        if (!node->has_value()) executor().Run(std::array{node.get()});
      } catch (const Error&) {
      }
    }
  }
  max_pending_nodes_ = builder_.pending() + kMaxPendingNodes;
}

void TensorRuntime::EndEntry(bool failed) {
  if (failed) last_failed_ = entry_->number;
  entry_->failed = failed;
  entry_ = std::make_shared<Entry>(Entry{entry_->number + 1, false});
}

// Kept alive while they are computed in turn.
std::vector<NodePtr> TensorRuntime::HeldNodes() const {
  std::vector<NodePtr> nodes;
  for (Node* node : builder_.PendingNodes()) nodes.emplace_back(node);
  return nodes;
}

void TensorRuntime::OnPlan(const Plan& plan, const Structure& structure) {
  if (observer_) observer_->OnPlan(plan, structure);
}

bool TensorRuntime::wants_steps() const {
  return observer_ && observer_->wants_steps();
}

void TensorRuntime::OnStep(const Plan& plan, const Step& step,
                           double seconds) {
  if (observer_) observer_->OnStep(plan, step, seconds);
}

void TensorRuntime::OnCopy(int64_t bytes, double seconds) {
  if (observer_) observer_->OnCopy(bytes, seconds);
}

void TensorRuntime::OnPlace(const Node& leaf) {
  if (place_listener_) place_listener_(leaf);
}

void TensorRuntime::OnDecode(const Node& conversion, const DecodeCounts& counts) {
  if (decode_listener_) decode_listener_(conversion, counts);
}

std::string TensorRuntime::Describe(Location location) {
  const Span span{static_cast<uint32_t>(location >> 32),
                  static_cast<uint32_t>(location),
                  static_cast<uint32_t>(location)};
  return sources_.Where(span);
}

}  // namespace tl
