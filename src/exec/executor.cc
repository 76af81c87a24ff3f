#include "exec/executor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "exec/finite.h"
#include "exec/planner.h"

namespace tl {
namespace {

// A program has one plan per loop body and call shape; beyond this it is
// making new structures all the time and remembering them would not help.
constexpr size_t kMaxPlans = 256;

// One run of a plan: memory for its slots and values for its numbers.
class PlanRun {
 public:
  PlanRun(const Plan& plan, const Structure& structure, Backend& backend)
      : plan_(plan),
        structure_(structure),
        backend_(backend),
        memory_(plan.slots.size()) {
    BindNumbers();
  }

  std::vector<View> Inputs(const Step& step) {
    std::vector<View> views;
    views.reserve(step.inputs.size());
    for (const Operand& operand : step.inputs) {
      if (operand.source == Operand::Source::kLeaf) {
        BringLeaf(step, *structure_.leaves[operand.index]);
      }
      views.push_back(Bind(operand));
    }
    return views;
  }

  // Memory for the results; the first may take over a dying operand's.
  std::vector<View> Outputs(const Step& step) {
    std::vector<View> views;
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      const int slot = step.outputs[i];
      if (i == 0 && step.donor >= 0) memory_[slot] = Donated(step);
      if (!memory_[slot]) {
        memory_[slot] = backend_.Allocate(BytesOf(
            plan_.slots[slot].dtype, plan_.slots[slot].shape.size()));
      }
      views.push_back(WholeView(slot));
    }
    return views;
  }

  std::vector<double> Numbers(const Step& step) const {
    std::vector<double> numbers;
    for (int index : step.numbers) numbers.push_back(structure_.numbers[index]);
    return numbers;
  }

  void Release(const Step& step) {
    for (int slot : step.releases) memory_[slot] = nullptr;
    converted_ = nullptr;
  }

  Tensor ResultOf(const Operand& operand) {
    const bool slot = operand.source == Operand::Source::kSlot;
    const Node* leaf = slot ? nullptr : structure_.leaves[operand.index];
    if (leaf) Mirror(*leaf);
    Tensor tensor;
    tensor.dtype = operand.dtype;
    tensor.device = backend_.device();
    tensor.shape = Shape::Of(std::span(operand.dims.data(), size_t(operand.rank)));
    const std::shared_ptr<std::byte>& owner =
        slot ? memory_[operand.index] : LeafMemory(*leaf);
    tensor.mapped = leaf && IsHere(*leaf) && leaf->value().mapped;
    tensor.data = std::shared_ptr<std::byte>(owner, Bind(operand).data);
    return tensor;
  }

 private:
  // Numbers as 4-byte elements in their type, so that they are operands like
  // any other.
  void BindNumbers() {
    number_bits_.resize(structure_.numbers.size() + 1);
    for (size_t i = 0; i < structure_.numbers.size(); ++i) {
      const double value = structure_.numbers[i];
      if (structure_.number_dtypes[i] == DType::I32) {
        number_bits_[i] = static_cast<int32_t>(value);
      } else {
        const float single = static_cast<float>(value);
        std::memcpy(&number_bits_[i], &single, sizeof(single));
      }
    }
    numbers_ = reinterpret_cast<std::byte*>(number_bits_.data());
    if (backend_.device() == Device::kCpu || structure_.numbers.empty()) return;
    const auto bytes =
        static_cast<int64_t>(number_bits_.size() * sizeof(int32_t));
    number_memory_ = backend_.Allocate(bytes);
    backend_.CopyIn(number_memory_.get(), numbers_, bytes);
    numbers_ = number_memory_.get();
  }

  bool IsHere(const Node& leaf) const {
    return leaf.value().device == backend_.device();
  }

  const std::shared_ptr<std::byte>& LeafMemory(const Node& leaf) const {
    if (converted_) return converted_;
    return IsHere(leaf) ? leaf.value().data : leaf.mirror.data;
  }

  std::shared_ptr<std::byte> CopyOfLeaf(const Node& leaf) {
    std::shared_ptr<std::byte> copy = backend_.Allocate(leaf.value().bytes());
    backend_.CopyIn(copy.get(), leaf.value().data.get(), leaf.value().bytes());
    return copy;
  }

  void Mirror(const Node& leaf) {
    if (IsHere(leaf) || leaf.mirror) return;
    leaf.mirror = leaf.value();
    leaf.mirror.data = nullptr;
    leaf.mirror.mapped = false;
    leaf.mirror.device = backend_.device();
    leaf.mirror.data = CopyOfLeaf(leaf);
  }

  // Makes the bytes of a leaf be where the backend computes. What is only
  // converted to another type there goes when that is done.
  void BringLeaf(const Step& step, const Node& leaf) {
    const bool passes = step.op == OpId::Decode && !IsPacked(leaf.dtype());
    if (passes && !IsHere(leaf) && !leaf.mirror) {
      converted_ = CopyOfLeaf(leaf);
    } else {
      Mirror(leaf);
    }
  }

  std::byte* Base(const Operand& operand) const {
    switch (operand.source) {
      case Operand::Source::kLeaf:
        return LeafMemory(*structure_.leaves[operand.index]).get();
      case Operand::Source::kSlot:
        return memory_[operand.index].get();
      case Operand::Source::kNumber:
        break;
    }
    return numbers_ + operand.index * sizeof(int32_t);
  }

  View Bind(const Operand& operand) const {
    int64_t offset = operand.offset;
    for (const Operand::Term& term : operand.terms) {
      offset += std::llround(structure_.numbers[term.number]) * term.stride;
    }
    View view;
    view.data = Base(operand);
    // Of a packed operand only whole rows are ever left out.
    view.data += BlockBytes(operand.dtype, offset);
    view.dtype = operand.dtype;
    view.rank = operand.rank;
    std::copy(operand.dims.begin(), operand.dims.end(), view.dims);
    std::copy(operand.strides.begin(), operand.strides.end(), view.strides);
    return view;
  }

  View WholeView(int slot) const {
    View view;
    view.data = memory_[slot].get();
    view.dtype = plan_.slots[slot].dtype;
    const Shape& shape = plan_.slots[slot].shape;
    view.rank = shape.rank();
    int64_t stride = 1;
    for (int axis = view.rank - 1; axis >= 0; --axis) {
      view.dims[axis] = shape.dim(axis);
      view.strides[axis] = stride;
      stride *= shape.dim(axis);
    }
    return view;
  }

  // The memory of the donor if nobody else can see it, else nothing.
  std::shared_ptr<std::byte> Donated(const Step& step) const {
    const Operand& donor = step.inputs[step.donor];
    const Slot& result = plan_.slots[step.outputs[0]];
    if (!donor.dense() || donor.offset != 0 || !donor.terms.empty() ||
        donor.size() != result.shape.size()) {
      return nullptr;
    }
    if (donor.source == Operand::Source::kSlot) {
      const bool dies = std::find(step.releases.begin(), step.releases.end(),
                                  donor.index) != step.releases.end();
      const bool whole =
          plan_.slots[donor.index].shape.size() == result.shape.size();
      return dies && whole ? memory_[donor.index] : nullptr;
    }
    if (donor.source != Operand::Source::kLeaf) return nullptr;
    // A leaf: `x[i] = v` on a tensor that only this operation still holds.
    const Node& leaf = *structure_.leaves[donor.index];
    const Tensor& here = IsHere(leaf) ? leaf.value() : leaf.mirror;
    const bool alone = leaf.use_count() == 1 && !here.mapped &&
                       here.data.use_count() == 1;
    return alone ? here.data : nullptr;
  }

  const Plan& plan_;
  const Structure& structure_;
  Backend& backend_;
  std::vector<std::shared_ptr<std::byte>> memory_;
  std::vector<int32_t> number_bits_;
  std::shared_ptr<std::byte> number_memory_;
  std::byte* numbers_ = nullptr;
  std::shared_ptr<std::byte> converted_;  // a leaf that this step converts
};

// A file that shrank under its mapping reads as zeros: no result may come of
// it. Also asked when a kernel fails, which zeros may have made it do.
void RequireIntactFiles(const Structure& structure) {
  if (!AnyMappedFileDamaged()) return;
  for (const Node* leaf : structure.leaves) {
    if (!leaf->value().mapped) continue;
    const auto file = MappedFile::Containing(leaf->value().data.get());
    if (file) file->CheckIntact();
  }
}

// Nothing to compute: kernels need not know about it.
bool AllEmpty(std::span<const View> outputs) {
  return std::all_of(outputs.begin(), outputs.end(),
                     [](const View& view) { return view.size() == 0; });
}

}  // namespace

Executor::PlanPtr Executor::GetPlan(const Structure& structure) {
  const auto found = by_key_.find(structure.key);
  if (found != by_key_.end()) {
    plans_.splice(plans_.begin(), plans_, found->second);
    return plans_.front().second;
  }
  plans_.emplace_front(structure.key,
                       std::make_shared<const Plan>(MakePlan(structure)));
  by_key_.emplace(plans_.front().first, plans_.begin());
  if (plans_.size() > kMaxPlans) {
    by_key_.erase(plans_.back().first);
    plans_.pop_back();
  }
  if (observer_) observer_->OnPlan(*plans_.front().second, structure);
  return plans_.front().second;
}

// The layout that the backend wants of an operand that is a whole leaf.
const void* Executor::PreparedFor(const Step& step, const Structure& structure,
                                  std::span<const View> inputs) {
  const int index = backend_.PreparedOperand(step.op);
  if (index < 0) return nullptr;
  const Operand& operand = step.inputs[index];
  if (operand.source != Operand::Source::kLeaf || !operand.dense() ||
      !operand.terms.empty()) {
    return nullptr;
  }
  const Node& leaf = *structure.leaves[operand.index];
  if (operand.size() != leaf.shape().size()) return nullptr;
  std::vector<int64_t> key = step.ints;
  key.insert(key.end(), operand.dims.begin(),
             operand.dims.begin() + operand.rank);
  Node::Prepared& kept = leaf.prepared;
  if (!kept.data || kept.op != step.op || kept.key != key) {
    kept = {step.op, std::move(key),
            backend_.Prepare(step.op, inputs[index], step.ints)};
  }
  return kept.data.get();
}

void Executor::RunStep(const Plan& plan, const Step& step,
                       const Structure& structure, const KernelArgs& args) {
  const auto start = std::chrono::steady_clock::now();
  try {
    if (!AllEmpty(args.outputs)) backend_.Run(step.op, args);
  } catch (const Error&) {
    RequireIntactFiles(structure);
    throw;
  }
  if (observer_ && observer_->wants_steps()) {
    backend_.Wait();
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    observer_->OnStep(plan, step, time.count());
  }
  if (check_finite_) {
    RequireFinite(backend_, step.op, args.inputs, args.outputs);
  }
}

void Executor::RunAll(std::span<Node* const> wanted,
                      std::span<Node* const> visit) {
  const Structure structure = CollectStructure(wanted, visit);
  const PlanPtr plan = GetPlan(structure);
  PlanRun run(*plan, structure, backend_);
  for (const Step& step : plan->steps) {
    const std::vector<View> inputs = run.Inputs(step);
    const std::vector<View> outputs = run.Outputs(step);
    const std::vector<double> numbers = run.Numbers(step);
    DecodeCounts counts;
    const Node& node = *structure.items[step.node].node;
    WithNote(
        [&] {
          RunStep(*plan, step, structure,
                  {inputs, outputs, step.ints, numbers,
                   step.has_program() ? &step.program : nullptr, step.dtype,
                   &counts, PreparedFor(step, structure, inputs)});
        },
        [&] {
          // Not the operation's name: the program may have said another.
          return "computed at " +
                 (observer_ ? observer_->Describe(node.location()) : "");
        });
    const bool lost = counts.overflowed || counts.flushed || counts.nan;
    if (lost && observer_) observer_->OnDecode(node, counts);
    run.Release(step);
  }
  backend_.Wait();
  RequireIntactFiles(structure);
  // Setting a value lets go of inputs, which may end other nodes of the list.
  std::vector<std::pair<NodePtr, Tensor>> results;
  for (const Plan::Result& result : plan->results) {
    results.emplace_back(NodePtr(structure.items[result.node].node),
                         run.ResultOf(result.operand));
  }
  for (auto& [node, tensor] : results) node->SetValue(std::move(tensor));
}

}  // namespace tl
