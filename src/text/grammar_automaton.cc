#include "text/grammar_automaton.h"

#include <algorithm>

#include "base/error.h"

namespace tl {
namespace {

using State = Grammar::State;

uint32_t StateOf(GrammarAutomaton::Place place) {
  return static_cast<uint32_t>(place);
}

uint32_t StackNumberOf(GrammarAutomaton::Place place) {
  return static_cast<uint32_t>(place >> 32);
}

}  // namespace

size_t GrammarAutomaton::HashPlaces::operator()(const Places& places) const {
  uint64_t hash = places.size();
  for (Place place : places) {
    hash = (hash ^ place) * 0x9E3779B97F4A7C15;
    hash ^= hash >> 29;
  }
  return hash;
}

GrammarAutomaton::GrammarAutomaton(Grammar grammar)
    : grammar_(std::move(grammar)) {
  std::array<bool, 257> begins = {};
  for (const State& state : grammar_.states()) {
    if (state.kind != State::Kind::kByte) continue;
    begins[state.low] = true;
    begins[state.high + 1] = true;
  }
  begins[0] = false;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (begins[byte]) ++classes_;
    class_of_[byte] = static_cast<uint8_t>(classes_);
  }
  ++classes_;
}

uint32_t GrammarAutomaton::StackOf(uint32_t state, uint32_t below) {
  // A rule that ends with a call leaves nothing to go on with.
  if (state == Grammar::kEnd) return below;
  const auto [place, added] =
      stack_numbers_.try_emplace(uint64_t{below} << 32 | state, 0);
  if (added) {
    if (stacks_.size() == kMaxStacks) {
      stack_numbers_.erase(place);
      pending_.clear();
      Fail(ErrorKind::kProgram,
           "grammar: the text nests too deep; {} stacks of rules are "
           "remembered",
           kMaxStacks);
    }
    place->second = static_cast<uint32_t>(stacks_.size());
    stacks_.push_back({state, below});
  }
  return place->second;
}

GrammarAutomaton::Places GrammarAutomaton::Close() {
  Places places;
  seen_.clear();
  while (!pending_.empty()) {
    const Place place = pending_.back();
    pending_.pop_back();
    if (!seen_.insert(place).second) continue;
    if (seen_.size() > kMaxPlaces || looked_at_ + seen_.size() > kMostPlaces) {
      pending_.clear();
      Fail(ErrorKind::kProgram,
           "grammar: too many ways to go on: more than {} at once, or {} for "
           "one token",
           kMaxPlaces, kMostPlaces);
    }
    const State& state = grammar_.state(StateOf(place));
    const uint32_t stack = StackNumberOf(place);
    switch (state.kind) {
      case State::Kind::kByte:
        places.push_back(place);
        break;
      case State::Kind::kSplit:
        PushPending(state.next, stack);
        PushPending(state.other, stack);
        break;
      case State::Kind::kCall:
        PushPending(grammar_.StartOf(state.other), StackOf(state.next, stack));
        break;
      case State::Kind::kEnd:
        if (stack == 0) {
          places.push_back(place);
        } else {
          PushPending(stacks_[stack].state, stacks_[stack].below);
        }
        break;
    }
  }
  looked_at_ += seen_.size();
  std::ranges::sort(places);
  return places;
}

GrammarAutomaton::Places GrammarAutomaton::Start() {
  PushPending(grammar_.start(), 0);
  return Close();
}

GrammarAutomaton::Set GrammarAutomaton::SetOf(const Places& places) {
  if (places.empty()) return kDead;
  const auto [place, added] =
      numbers_.try_emplace(places, static_cast<Set>(sets_.size()));
  if (added) {
    sets_.push_back(&place->first);
    steps_.resize(steps_.size() + classes_, kUnknown);
    looked_at_ += classes_;  // it takes memory as they do
  }
  return place->second;
}

GrammarAutomaton::Set GrammarAutomaton::Step(Set set, uint8_t byte) {
  const size_t step = set * classes_ + class_of_[byte];
  if (steps_[step] != kUnknown) return steps_[step];
  for (Place place : *sets_[set]) {
    const State& state = grammar_.state(StateOf(place));
    if (state.kind == State::Kind::kByte && state.low <= byte &&
        byte <= state.high) {
      PushPending(state.next, StackNumberOf(place));
    }
  }
  const Set to = SetOf(Close());
  steps_[step] = to;
  return to;
}

bool GrammarAutomaton::MayEnd(Set set) const {
  static_assert(kTextEnd == 0, "it comes first");
  return sets_[set]->front() == kTextEnd;
}

bool GrammarAutomaton::Trim() {
  if (looked_at_ < kManyPlaces) return false;
  numbers_.clear();
  sets_.clear();
  steps_.clear();
  looked_at_ = 0;
  return true;
}

}  // namespace tl
