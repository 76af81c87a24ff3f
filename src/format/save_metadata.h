// Metadata that say what the file itself is: the type of its tensors, the
// version of the packed types, alignment, parts. They are made true for the
// file that is written; all others stay as they are. Part of
// format/save_plan.h.
#pragma once

#include "format/output.h"
#include "format/save_types.h"

namespace tl {

// Of an output whose tensors are planned.
void AdaptMetadata(const TypeRules& rules, OutputModel& output);

}  // namespace tl
