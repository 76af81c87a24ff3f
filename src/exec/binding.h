// Giving the steps of a plan their operands. All that is the same in each run
// (shapes, strides, types) is written once, into views that a plan keeps; a run
// writes where the bytes are.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "exec/backend.h"
#include "exec/plan.h"
#include "exec/residency.h"
#include "exec/structure.h"

namespace tl {

// The views of a plan, step after step: inputs, then outputs.
class Binding {
 public:
  explicit Binding(const Plan& plan);

 private:
  friend class PlanRun;

  // Where the bytes of a view begin: so many behind those of `source`.
  struct Place {
    enum class Source : uint8_t {
      kLeaf,     // number `index`
      kNumber,   // number `index`
      kSlot,     // number `index`, with memory of its own
      kScratch,  // the memory that small slots share
      kMoved,    // of a leaf or slot, as the numbers of the program say
    };
    Source source;
    int32_t index;
    int64_t bytes;
    const Operand* operand;  // kMoved only
  };

  void Add(const Plan& plan, const Operand& operand);
  static Place PlaceOf(const Plan& plan, const Operand& operand);

  std::vector<View> views_;
  std::vector<Place> places_;  // of each view
  bool has_numbers_ = false;   // some view is of a number
};

// What runs use for the slots that share memory. Kept while it is small, so
// that the same plan finds them in the same place.
class Scratch {
 public:
  // At least so many bytes.
  std::shared_ptr<std::byte> Take(Backend& backend, int64_t bytes);

 private:
  std::shared_ptr<std::byte> kept_;
  int64_t bytes_ = 0;
};

// One run of a plan: memory for its slots and values for its numbers. Steps
// are begun and ended in order.
class PlanRun {
 public:
  PlanRun(const Plan& plan, Binding& binding, const Structure& structure,
          Backend& backend, Scratch& scratch, Residency& residency);

  // Gives the next step its operands and memory for its results. The spans are
  // good until the next run of the plan.
  void Begin(const Step& step);
  std::span<const View> inputs() const { return inputs_; }
  std::span<const View> outputs() const { return outputs_; }
  std::span<const double> Numbers(const Step& step) const;
  void End(const Step& step);
  // Memory of which nothing outlives the run.
  std::span<const std::byte> scratch() const {
    return {scratch_.get(), static_cast<size_t>(plan_.scratch_bytes)};
  }

  // Makes the bytes of results that are parts of leaves be where the backend computes.
  void BringResults();
  // `ticket` is that of the run.
  Tensor ResultOf(const Operand& operand, Ticket ticket);

 private:
  using Place = Binding::Place;

  void BindNumbers();
  bool IsHere(const Node& leaf) const {
    return leaf.value().device == device_;
  }
  const std::shared_ptr<std::byte>& LeafMemory(const Node& leaf) const;
  void Mirror(Node& leaf);
  bool IsOnlyConverted(const Step& step, const Node& leaf) const;
  void MirrorAllLeaves();
  void PlaceLeaves(std::vector<Residency::Place>& places);
  void BringLeaves(const Step& step);
  bool PlacePassing(const Step& step, int64_t& room, std::vector<HostBytes>& all);
  bool IsPassing(const Node& leaf) const;
  std::byte* AddressOf(const Place& place) const;
  std::byte* BaseOf(const Operand& operand) const;
  void FindMemory(const Step& step);
  std::shared_ptr<std::byte> Donated(const Step& step) const;

  const Plan& plan_;
  Binding& binding_;
  const Structure& structure_;
  Backend& backend_;
  Residency& residency_;
  const Device device_;
  const bool is_far_;  // leaves may be in host memory, results are not
  bool brings_leaves_ = false;  // some are
  std::vector<std::shared_ptr<std::byte>> memory_;  // of slots with their own
  std::shared_ptr<std::byte> scratch_;
  std::vector<int32_t> number_bits_;
  std::shared_ptr<std::byte> number_memory_;
  std::byte* numbers_ = nullptr;  // the bits, where the backend computes
  // Leaves that are here until the step that reads them is over.
  struct Passing {
    const Node* leaf;
    std::shared_ptr<std::byte> memory;
  };
  std::vector<Passing> passing_;
  size_t next_ = 0;  // view
  std::span<const View> inputs_;
  std::span<const View> outputs_;
};

}  // namespace tl
