// The bytes of a tensor for a file: copied as they are, or read, changed and
// quantised on all threads, a slab at a time, while the slab before is being
// written. Never more than two slabs in memory, whatever the tensor's size, but
// for one that is transposed: that is read as a whole.
#pragma once

#include "base/progress.h"
#include "base/replace_file.h"
#include "format/output.h"

namespace tl {

// Appends the tensor's bytes to `out` and counts them in `progress`. Fails,
// naming the tensor and how many of its values are to blame, when a packed type
// is given NaN or inf, or any type a value too large for it. Returns how many
// values vanished: not zero, but below what F16, or the scale of a block,
// holds.
int64_t WriteTensor(const OutputTensor& tensor, ReplaceFile& out,
                    Progress& progress);

}  // namespace tl
