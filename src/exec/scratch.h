// Where the small slots of a plan lie in the one block of memory that they
// share, so that a run need not ask for each. Slots whose lives do not meet may
// lie in the same place.
#pragma once

#include "exec/plan.h"

namespace tl {

// Sets the offsets of slots and how much they take together, once it is known
// what each step releases and who donates.
void PlaceSlots(Plan& plan);

}  // namespace tl
