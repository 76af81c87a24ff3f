#include "exec/residency.h"

#include <algorithm>

namespace tl {
namespace {

// Of a limit, for what kernels need themselves and for gaps between blocks.
constexpr int64_t kShareOfKernels = 8;

int64_t BytesOfOwn(const Slot& slot) {
  return slot.offset < 0 ? BytesOf(slot.dtype, slot.shape.size()) : 0;
}

// What a step reads from host memory while it runs.
int64_t PassingBytes(const Step& step, const Structure& structure) {
  int64_t bytes = 0;
  for (const Operand& input : step.inputs) {
    if (input.source != Operand::Source::kLeaf) continue;
    const Node& leaf = *structure.leaves[input.index];
    const bool on_host = leaf.value().device == Device::kCpu;
    if (on_host && !leaf.mirror()) bytes += leaf.value().bytes();
  }
  return bytes;
}

// An upper bound of what the run has in memory at once beside what stays.
int64_t MostAtOnce(const Plan& plan, const Structure& structure) {
  int64_t now = plan.scratch_bytes, most = now, taken_over = 0;
  for (const Step& step : plan.steps) {
    for (int32_t s : step.outputs) now += BytesOfOwn(plan.slots[s]);
    if (step.donor >= 0) {
      const Operand& donor = step.inputs[step.donor];
      const bool leaf = donor.source == Operand::Source::kLeaf;
      if (leaf && structure.leaves[donor.index]->use_count() == 1) {
        taken_over += BytesOfOwn(plan.slots[step.outputs[0]]);
      }
    }
    most = std::max(most, now + PassingBytes(step, structure));
    for (int32_t s : step.releases) now -= BytesOfOwn(plan.slots[s]);
  }
  return most - taken_over;
}

}  // namespace

void Residency::BeginRun(const Plan& plan, const Structure& structure) {
  if (!backend_.has_memory_limit()) return;
  std::erase_if(staying_,
                [](const NodePtr& node) { return node->use_count() == 1; });
  const int64_t spare = backend_.Memory().total / kShareOfKernels;
  while (true) {
    room_ = backend_.Memory().free - MostAtOnce(plan, structure) - spare;
    if (room_ >= 0 || staying_.empty()) return;
    Remove(*staying_.back());
    staying_.pop_back();
  }
}

// The bytes are in host memory afterwards, and nowhere else.
void Residency::Remove(Node& node) {
  if (node.value().device == Device::kCpu) {
    node.SetMirror({});
    return;
  }
  Tensor copy = node.mirror();
  node.SetMirror({});
  if (!copy) {
    copy = MakeTensor(node.dtype(), node.shape());
    backend_.CopyOut(copy.data.get(), node.value().data.get(), copy.bytes(),
                     node.value().ticket);
  }
  node.SetValue(std::move(copy));
}

bool Residency::Stays(Node& leaf) {
  if (!backend_.has_memory_limit()) {
    if (observer_) observer_->OnPlace(leaf);
    return true;
  }
  const int64_t bytes = leaf.value().bytes();
  if (bytes > room_) return false;
  room_ -= bytes;
  staying_.emplace_back(&leaf);
  return true;
}

void Residency::BeforeConversion(const Node& leaf) {
  if (observer_ && !backend_.has_memory_limit()) observer_->OnPlace(leaf);
}

void Residency::AddConverted(Node& converted) {
  if (backend_.has_memory_limit()) staying_.emplace_back(&converted);
}

Residency::Place Residency::PlaceFor(Node& leaf) {
  Place place = {&leaf, leaf.value()};
  place.mirror.data = backend_.Allocate(place.mirror.bytes());
  place.mirror.mapped = false;
  place.mirror.device = backend_.device();
  return place;
}

void Residency::Mirror(std::vector<Place> places) {
  if (places.empty()) return;
  std::vector<HostBytes> all;
  for (const Place& place : places) {
    const Tensor& host = place.leaf->value();
    all.push_back({place.mirror.data.get(), host.data.get(), host.bytes()});
  }
  Copy(all);
  for (Place& place : places) place.leaf->SetMirror(std::move(place.mirror));
}

void Residency::Copy(std::span<const HostBytes> all) {
  backend_.CopyAllIn(all);
  for (const HostBytes& one : all) copied_ += one.bytes;
}

}  // namespace tl
