// What a grammar lets follow: sets of the places in its rules where a text may
// stand, and the set that each byte leads to. A place is a state with a stack
// of those that wait for a rule to end. Stacks are lists that share their ends,
// and sets are made when they are met, with a number each; so a step that was
// taken before is a look-up.
//
// A grammar may be hostile: how many places a step looks at is limited.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/grammar.h"

namespace tl {

class GrammarAutomaton {
 public:
  // The state below, the stack above.
  using Place = uint64_t;
  static constexpr Place kTextEnd = Grammar::kEnd;  // and no stack
  // Sorted: of bytes that may follow, and of the end of the text.
  using Places = std::vector<Place>;
  using Set = int32_t;
  static constexpr Set kDead = -1;

  explicit GrammarAutomaton(Grammar grammar);

  // Where every text begins.
  Places Start();
  Set SetOf(const Places& places);
  // Valid until Trim.
  const Places& PlacesOf(Set set) const { return *sets_[set]; }
  // kDead where the byte may not follow.
  Set Step(Set set, uint8_t byte);
  bool MayEnd(Set set) const;

  // Forgets the sets if they are many, and says whether it did.
  bool Trim();

 private:
  static constexpr Set kUnknown = -2;
  // Alternatives that are open at once: a list of words has as many.
  static constexpr size_t kMaxPlaces = size_t{1} << 16;
  static constexpr size_t kMaxStacks = size_t{1} << 22;
  // Of places that steps looked at since Trim, which forgets beyond the first:
  // some 100 MB, or a second.
  static constexpr size_t kManyPlaces = size_t{1} << 20;
  static constexpr size_t kMostPlaces = size_t{1} << 24;

  struct HashPlaces {
    size_t operator()(const Places& places) const;
  };
  struct Stack {
    uint32_t state;  // that goes on when a rule has ended
    uint32_t below;
  };

  // Takes the places that are left on pending_.
  Places Close();
  void PushPending(uint32_t state, uint32_t stack) {
    pending_.push_back(uint64_t{stack} << 32 | state);
  }
  uint32_t StackOf(uint32_t state, uint32_t below);

  Grammar grammar_;
  // Bytes that no state tells apart are one class.
  std::array<uint8_t, 256> class_of_;
  size_t classes_ = 0;

  std::vector<Stack> stacks_ = {{0, 0}};  // the first is the empty one
  std::unordered_map<uint64_t, uint32_t> stack_numbers_;

  std::unordered_map<Places, Set, HashPlaces> numbers_;
  std::vector<const Places*> sets_;
  std::vector<Set> steps_;  // by set and class
  size_t looked_at_ = 0;

  Places pending_;
  std::unordered_set<Place> seen_;
};

}  // namespace tl
