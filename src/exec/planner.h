// From a structure to a plan: views become strides, neighbouring elementwise
// operations become one pass, memory is reused from its last use on.
#pragma once

#include "exec/plan.h"
#include "exec/scratch.h"
#include "exec/structure.h"

namespace tl {

Plan MakePlan(const Structure& structure,
              Placement placement = Placement::kTogether);

}  // namespace tl
