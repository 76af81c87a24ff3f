// Where the small slots of a plan lie in the one block of memory that they
// share, so that a run need not ask for each. Where steps run one after the other
// slots whose lives do not meet lie in the same place, which stays in the caches;
// where a device runs several at once they lie apart, or one step would have to
// wait until another has read what lies in its place.
#pragma once

#include "exec/plan.h"

namespace tl {

enum class Placement : uint8_t { kTogether, kApart };

// Sets the offsets of slots and how much they take together, once it is known
// what each step releases and who donates.
void PlaceSlots(Plan& plan, Placement placement);

}  // namespace tl
