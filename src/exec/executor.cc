#include "exec/executor.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "exec/finite.h"
#include "exec/planner.h"
#include "ops/run_checks.h"

namespace tl {
namespace {

// A program has one plan per loop body and call shape; beyond this it is
// making new structures all the time and remembering them would not help.
constexpr size_t kMaxPlans = 256;

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

Tensor Executor::NewTensor(DType dtype, const Shape& shape) {
  if (backend_.has_memory_limit()) return MakeTensor(dtype, shape);
  const int64_t bytes = BytesOf(dtype, shape.size());
  return {dtype, backend_.device(), shape, backend_.Allocate(bytes)};
}

Executor::KnownPtr Executor::GetPlan(const Structure& structure) {
  const auto found = by_key_.find({structure.key, structure.hash});
  if (found != by_key_.end()) {
    plans_.splice(plans_.begin(), plans_, found->second);
    return plans_.front();
  }
  const Placement placement = backend_.device() == Device::kCpu
                                  ? Placement::kTogether
                                  : Placement::kApart;
  plans_.push_front(std::make_shared<Known>(structure.key, structure.hash,
                                            MakePlan(structure, placement)));
  const Known& known = *plans_.front();
  by_key_.emplace(Key{known.key, known.hash}, plans_.begin());
  if (plans_.size() > kMaxPlans) {
    by_key_.erase({plans_.back()->key, plans_.back()->hash});
    plans_.pop_back();
  }
  if (observer_) observer_->OnPlan(known.plan, structure);
  return plans_.front();
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
  Node::Prepared& kept = leaf.prepared();
  if (!kept.data || kept.op != step.op || kept.key != key) {
    kept = {step.op, std::move(key),
            backend_.Prepare(step.op, inputs[index], step.ints)};
  }
  return kept.data.get();
}

// Looks at indices that are in host memory, where the device is another: it could
// only say later that one of them has no place. Of some it is known beforehand.
bool Executor::CheckIndices(const Step& step, const Structure& structure) const {
  constexpr int64_t kMostIndices = 64 * 1024;
  const bool by_index = step.op == OpId::IndexSelect ||
                        step.op == OpId::Gather || step.op == OpId::Scatter;
  if (!by_index || backend_.device() == Device::kCpu) return false;
  const Operand &x = step.inputs[0], &index = step.inputs[1];
  const auto axis = static_cast<int>(step.ints[0]);
  const int64_t size = x.dims[axis];
  const Node& node = *structure.items[step.node].node;
  TL_CHECK(node.op() == step.op);
  const int64_t indices_of = node.inputs()[1]->indices_of;
  if (indices_of > 0 && indices_of <= size) return true;
  if (index.source != Operand::Source::kLeaf || !index.dense() ||
      index.offset != 0 || !index.terms.empty() || index.size() > kMostIndices) {
    return false;
  }
  const Tensor& indices = structure.leaves[index.index]->value();
  if (indices.device != Device::kCpu) return false;
  for (int64_t i = 0; i < index.size(); ++i) {
    const int32_t place = indices.as<int32_t>()[i];
    if (place < -size || place >= size) CheckIndex(place, axis, size);
  }
  return true;
}

void Executor::RunStep(const Step& step, const Structure& structure,
                       const KernelArgs& args) {
  try {
    if (!AllEmpty(args.outputs)) backend_.Run(step.op, args);
  } catch (const Error&) {
    RequireIntactFiles(structure);
    throw;
  }
  if (timed()) backend_.EndLap();
  if (check_finite_) {
    RequireFinite(backend_, step.op, args.inputs, args.outputs);
  }
}

// A backend that counts at once has it reported before a later step fails.
void Executor::ReportLoss(Conversion& conversion) {
  const DecodeCounts counts = std::exchange(conversion.counts, {});
  const bool lost = counts.overflowed || counts.flushed || counts.nan;
  if (lost && observer_ && conversion.node) {
    observer_->OnDecode(*conversion.node, counts);
  }
}

void Executor::ReportLaps(const Plan& plan) {
  const std::vector<double> seconds = backend_.Laps();
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    observer_->OnStep(plan, plan.steps[i], seconds[i]);
  }
}

void Executor::RunPlan(const KnownPtr& known, const Structure& structure) {
  const Plan& plan = known->plan;
  PlanRun run(plan, known->binding, structure, backend_, scratch_,
              residency_);
  if (timed()) backend_.StartLaps();
  try {
    for (const Step& step : plan.steps) {
      run.Begin(step);
      Node& node = *structure.items[step.node].node;
      Conversion* conversion = nullptr;
      if (step.op == OpId::Decode) {
        conversions_.push_back({NodePtr(&node), {}});
        conversion = &conversions_.back();
      }
      WithNote(
          [&] {
            const bool checked = CheckIndices(step, structure);
            RunStep(step, structure,
                    {run.inputs(), run.outputs(), step.ints, run.Numbers(step),
                     step.has_program() ? &step.program : nullptr, step.dtype,
                     conversion ? &conversion->counts : nullptr, checked,
                     PreparedFor(step, structure, run.inputs())});
          },
          [&] {
            // Not the operation's name: the program may have said another.
            return "computed at " +
                   (observer_ ? observer_->Describe(node.location()) : "");
          });
      if (conversion) ReportLoss(*conversion);
      run.End(step);
    }
    run.BringResults();
  } catch (...) {
    backend_.Submit(nullptr);  // what was begun still uses the memory of this run
    throw;
  }
  const Ticket ticket = backend_.Submit(known, run.scratch());
  if (timed()) ReportLaps(plan);
  for (Conversion& conversion : conversions_) ReportLoss(conversion);
  conversions_.clear();
  RequireIntactFiles(structure);
  // Setting a value lets go of inputs, which may end other nodes of the list.
  std::vector<std::pair<NodePtr, Tensor>> results;
  results.reserve(plan.results.size());
  for (const Plan::Result& result : plan.results) {
    results.emplace_back(NodePtr(structure.items[result.node].node),
                         run.ResultOf(result.operand, ticket));
  }
  for (auto& [node, tensor] : results) {
    node->SetValue(std::move(tensor));
    if (node->op() == OpId::Decode) residency_.AddConverted(*node);
  }
}

void Executor::RunAll(std::span<Node* const> wanted,
                      std::span<Node* const> visit) {
  for (Conversion& failed : conversions_) failed.node = nullptr;
  Structure structure = CollectStructure(wanted, visit, std::move(room_));
  const KnownPtr known = GetPlan(structure);
  RunPlan(known, structure);
  room_ = std::move(structure);
}

}  // namespace tl
