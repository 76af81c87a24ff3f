#include "exec/scratch.h"

#include <algorithm>
#include <map>

namespace tl {
namespace {

// Larger ones have memory of their own: to ask for it costs little beside
// computing them, and it goes back as soon as they are dead.
constexpr int64_t kSmallBytes = int64_t{1} << 20;

// As AllocateHost(): each begins on a cache line and vectors may read on.
constexpr int64_t kAlignment = 64;
constexpr int64_t kSlack = 64;

// What slots that lie apart may take before they begin to share.
constexpr int64_t kMostApart = int64_t{32} << 20;

int64_t RoomFor(const Slot& slot) {
  const int64_t bytes = BytesOf(slot.dtype, slot.shape.size()) + kSlack;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// First fit over the free stretches; the end is open.
class Stretches {
 public:
  int64_t Take(int64_t bytes) {
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      const auto [offset, size] = *it;
      if (size < bytes) continue;
      free_.erase(it);
      if (size > bytes) free_.emplace(offset + bytes, size - bytes);
      return offset;
    }
    const int64_t offset = end_;
    end_ += bytes;
    return offset;
  }

  void Give(int64_t offset, int64_t bytes) {
    const auto next = free_.lower_bound(offset);
    const auto place = free_.emplace_hint(next, offset, bytes);
    if (next != free_.end() && offset + bytes == next->first) {
      place->second += next->second;
      free_.erase(next);
    }
    if (place == free_.begin()) return;
    const auto before = std::prev(place);
    if (before->first + before->second == offset) {
      before->second += place->second;
      free_.erase(place);
    }
  }

  int64_t end() const { return end_; }

 private:
  std::map<int64_t, int64_t> free_;
  int64_t end_ = 0;
};

const Operand* DonorOf(const Step& step) {
  return step.donor >= 0 ? &step.inputs[step.donor] : nullptr;
}

// Slots that share memory one after the other, each the donor of the next, are
// a chain; it is known by its first slot.
std::vector<int32_t> FindChains(const Plan& plan) {
  std::vector<int32_t> chain(plan.slots.size());
  for (size_t s = 0; s < chain.size(); ++s) chain[s] = static_cast<int32_t>(s);
  for (const Step& step : plan.steps) {
    const Operand* donor = DonorOf(step);
    if (donor && donor->source == Operand::Source::kSlot) {
      chain[step.outputs[0]] = chain[donor->index];
    }
  }
  return chain;
}

// Of each chain, by its first slot, whether it may lie in shared memory: not a
// result, and not what a leaf may donate.
std::vector<bool> FindShared(const Plan& plan,
                             const std::vector<int32_t>& chain) {
  std::vector<bool> shared(plan.slots.size(), true);
  for (size_t s = 0; s < plan.slots.size(); ++s) {
    if (plan.slots[s].kept || RoomFor(plan.slots[s]) > kSmallBytes) {
      shared[chain[s]] = false;
    }
  }
  for (const Step& step : plan.steps) {
    const Operand* donor = DonorOf(step);
    if (donor && donor->source == Operand::Source::kLeaf) {
      shared[chain[step.outputs[0]]] = false;
    }
  }
  return shared;
}

}  // namespace

void PlaceSlots(Plan& plan, Placement placement) {
  const std::vector<int32_t> chain = FindChains(plan);
  const std::vector<bool> shared = FindShared(plan, chain);
  Stretches stretches;
  for (const Step& step : plan.steps) {
    const Operand* donor = DonorOf(step);
    for (int32_t s : step.outputs) {
      Slot& slot = plan.slots[s];
      if (!shared[chain[s]]) continue;
      slot.offset = chain[s] == s ? stretches.Take(RoomFor(slot))
                                  : plan.slots[chain[s]].offset;
    }
    for (int32_t s : step.releases) {
      const bool donated = donor &&
                           donor->source == Operand::Source::kSlot &&
                           donor->index == s;
      const bool apart =
          placement == Placement::kApart && stretches.end() < kMostApart;
      if (!shared[chain[s]] || donated || apart) continue;
      stretches.Give(plan.slots[s].offset, RoomFor(plan.slots[chain[s]]));
    }
  }
  plan.scratch_bytes = stretches.end();
}

}  // namespace tl
