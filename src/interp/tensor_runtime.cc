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
  const Node& node = Compute(ref);
  // So that the device has work while the program waits for it and thinks.
  if (node.value().device != Device::kCpu && !node.mirror()) HandOver();
  return OnHost(node);
}

void TensorRuntime::RequireIntact(const Tensor& tensor) {
  if (!tensor.mapped || !AnyMappedFileDamaged()) return;
  const auto file = MappedFile::Containing(tensor.data.get());
  if (file) file->CheckIntact();
}

// What one run makes has to be there at once, where memory is limited.
bool TensorRuntime::WorksByItself() const {
  return executor_ && backend_->device() != Device::kCpu &&
         !backend_->has_memory_limit();
}

int64_t TensorRuntime::PendingNodesLimit() const {
  const bool limited =
      executor_ ? backend_->has_memory_limit() : options_.gpu_memory > 0;
  if (limited) return left_nodes_ + kNodesOfTurns;
  const bool ahead = WorksByItself() && !sweep_failed_;
  return left_nodes_ + (ahead ? kNodesAhead : kMaxPendingNodes);
}

bool TensorRuntime::ManyBytesArePending() {
  if (builder_.pending_bytes() < kFewBytes) return false;
  if (pending_bytes_limit_ == 0) {
    pending_bytes_limit_ =
        std::max(kFewBytes, AvailableMemory() / kPendingShareOfMemory);
  }
  return builder_.pending_bytes() >= pending_bytes_limit_;
}

void TensorRuntime::RunIfTooMuchIsPending() {
  if (builder_.pending() >= PendingNodesLimit() || ManyBytesArePending()) {
    SweepPending();
  }
}

// A token that goes back into a model: who waits for it shall not wait for what is made
// of it from here on.
void TensorRuntime::OnSelection(const Node& node) {
  if (node.has_value() || node.inputs().size() < 2) return;
  const Node& index = *node.inputs()[1];
  if (index.indices_of > 0 && !index.has_value()) HandOver();
}

void TensorRuntime::HandOverOfTurn() {
  // What failed would be tried again each time.
  if (WorksByItself() && !sweep_failed_) SweepPending();
}

void TensorRuntime::HandOver() {
  if (WorksByItself() && builder_.pending() > left_nodes_) SweepPending();
}

void TensorRuntime::SweepPending() {
  try {
    executor().Sweep(builder_.PendingNodes());
    sweep_failed_ = false;
  } catch (const Error&) {
    sweep_failed_ = true;
    // A failing tensor is its reader's business, not that of whoever happened
    // to be at work: the others are computed one by one.
    for (const NodePtr& node : HeldNodes()) {
      try {
        if (!node->has_value()) executor().Run(std::array{node.get()});
      } catch (const Error&) {
      }
    }
  }
  left_nodes_ = builder_.pending();
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
