#include "exec/binding.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_set>

#include "exec/views.h"

namespace tl {
namespace {

// Scratch memory of more than this goes back after each run.
constexpr int64_t kMostKept = int64_t{64} << 20;
// What is brought before it is converted: so much, and of what is free a share.
constexpr int64_t kMostAhead = int64_t{256} << 20;
constexpr int64_t kShareAhead = 16;

View ViewOf(const Operand& operand) {
  View view;
  view.data = nullptr;
  view.dtype = operand.dtype;
  view.rank = operand.rank;
  std::copy(operand.dims.begin(), operand.dims.end(), view.dims);
  std::copy(operand.strides.begin(), operand.strides.end(), view.strides);
  return view;
}

int64_t OffsetOf(const Operand& operand, std::span<const double> numbers) {
  int64_t offset = operand.offset;
  for (const Operand::Term& term : operand.terms) {
    offset += std::llround(numbers[term.number]) * term.stride;
  }
  return offset;
}

}  // namespace

Binding::Binding(const Plan& plan) {
  for (const Step& step : plan.steps) {
    for (const Operand& input : step.inputs) Add(plan, input);
    for (int32_t s : step.outputs) {
      const Slot& slot = plan.slots[s];
      Add(plan, WholeOperand(Operand::Source::kSlot, s, slot.dtype, slot.shape));
    }
  }
}

void Binding::Add(const Plan& plan, const Operand& operand) {
  views_.push_back(ViewOf(operand));
  places_.push_back(PlaceOf(plan, operand));
  has_numbers_ |= operand.source == Operand::Source::kNumber;
}

Binding::Place Binding::PlaceOf(const Plan& plan, const Operand& operand) {
  using Source = Place::Source;
  if (!operand.terms.empty()) return {Source::kMoved, 0, 0, &operand};
  // Of a packed operand only whole rows are ever left out.
  const int64_t bytes = BlockBytes(operand.dtype, operand.offset);
  switch (operand.source) {
    case Operand::Source::kLeaf:
      return {Source::kLeaf, operand.index, bytes, nullptr};
    case Operand::Source::kNumber:
      return {Source::kNumber, operand.index, bytes, nullptr};
    case Operand::Source::kSlot:
      break;
  }
  const int64_t offset = plan.slots[operand.index].offset;
  return offset < 0
             ? Place{Source::kSlot, operand.index, bytes, nullptr}
             : Place{Source::kScratch, operand.index, offset + bytes, nullptr};
}

std::shared_ptr<std::byte> Scratch::Take(Backend& backend, int64_t bytes) {
  if (bytes == 0) return nullptr;
  if (bytes > kMostKept) return backend.Allocate(bytes);
  if (bytes > bytes_) {
    kept_ = nullptr;
    bytes_ = 0;
    kept_ = backend.Allocate(bytes);
    bytes_ = bytes;
  }
  return kept_;
}

PlanRun::PlanRun(const Plan& plan, Binding& binding, const Structure& structure,
                 Backend& backend, Scratch& scratch, Residency& residency)
    : plan_(plan),
      binding_(binding),
      structure_(structure),
      backend_(backend),
      residency_(residency),
      device_(backend.device()),
      is_far_(device_ != Device::kCpu),
      memory_(plan.slots.size()) {
  if (is_far_) {
    residency.BeginRun(plan, structure);
    brings_leaves_ = std::any_of(
        structure.leaves.begin(), structure.leaves.end(),
        [&](const Node* leaf) { return !IsHere(*leaf) && !leaf->mirror(); });
  }
  scratch_ = scratch.Take(backend, plan.scratch_bytes);
  BindNumbers();
  // In one go: steps would lie between the copies.
  if (brings_leaves_) residency.Timed([&] { MirrorAllLeaves(); });
}

// Numbers as 4-byte elements in their type, so that they are operands like any
// other.
void PlanRun::BindNumbers() {
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
  if (!is_far_ || !binding_.has_numbers_) return;
  const auto bytes =
      static_cast<int64_t>(number_bits_.size() * sizeof(int32_t));
  number_memory_ = backend_.Allocate(bytes);
  backend_.CopyIn(number_memory_.get(), numbers_, bytes);
  numbers_ = number_memory_.get();
}

const std::shared_ptr<std::byte>& PlanRun::LeafMemory(const Node& leaf) const {
  for (const Passing& passing : passing_) {
    if (passing.leaf == &leaf) return passing.memory;
  }
  return IsHere(leaf) ? leaf.value().data : leaf.mirror().data;
}

void PlanRun::Mirror(Node& leaf) {
  if (IsHere(leaf) || leaf.mirror()) return;
  residency_.Mirror({residency_.PlaceFor(leaf)});
}

// What is converted to another type goes when that is done.
bool PlanRun::IsOnlyConverted(const Step& step, const Node& leaf) const {
  return step.op == OpId::Decode && !IsPacked(leaf.dtype());
}

// In the order in which steps read them. Where one has no place those before it keep
// theirs, as whoever counts what is placed expects.
void PlanRun::MirrorAllLeaves() {
  std::vector<Residency::Place> places;
  try {
    PlaceLeaves(places);
  } catch (...) {
    residency_.Mirror(std::move(places));
    throw;
  }
  residency_.Mirror(std::move(places));
}

void PlanRun::PlaceLeaves(std::vector<Residency::Place>& places) {
  std::unordered_set<const Node*> seen;
  for (const Step& step : plan_.steps) {
    for (const Operand& operand : step.inputs) {
      if (operand.source != Operand::Source::kLeaf) continue;
      Node& leaf = *structure_.leaves[operand.index];
      if (IsHere(leaf) || leaf.mirror() || IsOnlyConverted(step, leaf)) continue;
      if (seen.insert(&leaf).second && residency_.Stays(leaf)) {
        places.push_back(residency_.PlaceFor(leaf));
      }
    }
  }
}

// Makes the bytes of leaves that do not stay be where the backend computes, and with
// them some of those that steps to come convert.
void PlanRun::BringLeaves(const Step& step) {
  std::vector<HostBytes> all;
  int64_t room = std::numeric_limits<int64_t>::max();
  PlacePassing(step, room, all);
  if (all.empty()) return;
  if (!backend_.has_memory_limit()) {
    room = std::min(kMostAhead, backend_.Memory().free / kShareAhead);
    const Step* const end = plan_.steps.data() + plan_.steps.size();
    for (const Step* next = &step + 1; next < end; ++next) {
      if (next->op == OpId::Decode && !PlacePassing(*next, room, all)) break;
    }
  }
  residency_.Copy(all);
}

// Of the leaves that a step lacks; false where one has no room.
bool PlanRun::PlacePassing(const Step& step, int64_t& room,
                           std::vector<HostBytes>& all) {
  for (const Operand& operand : step.inputs) {
    if (operand.source != Operand::Source::kLeaf) continue;
    const Node& leaf = *structure_.leaves[operand.index];
    if (IsHere(leaf) || leaf.mirror() || IsPassing(leaf)) continue;
    const Tensor& host = leaf.value();
    if (host.bytes() > room) return false;
    room -= host.bytes();
    if (IsOnlyConverted(step, leaf)) residency_.BeforeConversion(leaf);
    passing_.push_back({&leaf, backend_.Allocate(host.bytes())});
    all.push_back({passing_.back().memory.get(), host.data.get(), host.bytes()});
  }
  return true;
}

bool PlanRun::IsPassing(const Node& leaf) const {
  return std::ranges::find(passing_, &leaf, &Passing::leaf) != passing_.end();
}

std::byte* PlanRun::BaseOf(const Operand& operand) const {
  switch (operand.source) {
    case Operand::Source::kLeaf:
      return LeafMemory(*structure_.leaves[operand.index]).get();
    case Operand::Source::kSlot: {
      const int64_t offset = plan_.slots[operand.index].offset;
      return offset < 0 ? memory_[operand.index].get()
                        : scratch_.get() + offset;
    }
    case Operand::Source::kNumber:
      break;
  }
  return numbers_ + operand.index * sizeof(int32_t);
}

std::byte* PlanRun::AddressOf(const Place& place) const {
  switch (place.source) {
    case Place::Source::kLeaf:
      return LeafMemory(*structure_.leaves[place.index]).get() + place.bytes;
    case Place::Source::kSlot:
      return memory_[place.index].get() + place.bytes;
    case Place::Source::kScratch:
      return scratch_.get() + place.bytes;
    case Place::Source::kNumber:
      return numbers_ + place.index * sizeof(int32_t);
    case Place::Source::kMoved:
      break;
  }
  const Operand& operand = *place.operand;
  return BaseOf(operand) + BlockBytes(operand.dtype,
                                      OffsetOf(operand, structure_.numbers));
}

void PlanRun::Begin(const Step& step) {
  if (brings_leaves_) residency_.Timed([&] { BringLeaves(step); });
  FindMemory(step);
  const size_t inputs = step.inputs.size(), outputs = step.outputs.size();
  View* const views = binding_.views_.data() + next_;
  const Place* const places = binding_.places_.data() + next_;
  for (size_t i = 0; i < inputs + outputs; ++i) {
    views[i].data = AddressOf(places[i]);
  }
  inputs_ = {views, inputs};
  outputs_ = {views + inputs, outputs};
  next_ += inputs + outputs;
}

// For results that do not lie in scratch memory; the first may take over a
// dying operand's.
void PlanRun::FindMemory(const Step& step) {
  for (size_t i = 0; i < step.outputs.size(); ++i) {
    const Slot& slot = plan_.slots[step.outputs[i]];
    if (slot.offset >= 0) continue;
    std::shared_ptr<std::byte>& memory = memory_[step.outputs[i]];
    if (i == 0 && step.donor >= 0) memory = Donated(step);
    if (!memory) {
      memory = backend_.Allocate(BytesOf(slot.dtype, slot.shape.size()));
    }
  }
}

// The memory of the donor if nobody else can see it, else nothing.
std::shared_ptr<std::byte> PlanRun::Donated(const Step& step) const {
  const Operand& donor = step.inputs[step.donor];
  if (donor.source == Operand::Source::kSlot) return memory_[donor.index];
  // A leaf: `x[i] = v` on a tensor that only this operation still holds.
  const Node& leaf = *structure_.leaves[donor.index];
  const Tensor& here = IsHere(leaf) ? leaf.value() : leaf.mirror();
  const bool alone = leaf.use_count() == 1 && !here.mapped &&
                     here.data.use_count() == 1;
  return alone ? here.data : nullptr;
}

std::span<const double> PlanRun::Numbers(const Step& step) const {
  return std::span(structure_.numbers).subspan(step.first_number, step.numbers);
}

void PlanRun::End(const Step& step) {
  for (int32_t slot : step.releases) memory_[slot] = nullptr;
  std::erase_if(passing_, [&](const Passing& passing) {
    return std::ranges::any_of(step.inputs, [&](const Operand& operand) {
      return operand.source == Operand::Source::kLeaf &&
             structure_.leaves[operand.index] == passing.leaf;
    });
  });
}

void PlanRun::BringResults() {
  for (const Plan::Result& result : plan_.results) {
    const Operand& operand = result.operand;
    if (operand.source == Operand::Source::kLeaf) {
      Mirror(*structure_.leaves[operand.index]);
    }
  }
}

Tensor PlanRun::ResultOf(const Operand& operand, Ticket ticket) {
  const bool slot = operand.source == Operand::Source::kSlot;
  const Node* leaf = slot ? nullptr : structure_.leaves[operand.index];
  Tensor tensor;
  tensor.dtype = operand.dtype;
  tensor.device = device_;
  tensor.shape = Shape::Of(std::span(operand.dims.data(), size_t(operand.rank)));
  const std::shared_ptr<std::byte>& owner =
      slot ? memory_[operand.index] : LeafMemory(*leaf);
  // A part of what an earlier run made is there when that is.
  tensor.ticket = leaf && IsHere(*leaf) ? leaf->value().ticket : ticket;
  tensor.mapped = leaf && IsHere(*leaf) && leaf->value().mapped;
  const int64_t offset = OffsetOf(operand, structure_.numbers);
  tensor.data = std::shared_ptr<std::byte>(
      owner, BaseOf(operand) + BlockBytes(operand.dtype, offset));
  return tensor;
}

}  // namespace tl
