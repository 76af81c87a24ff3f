// What an operation can refuse only when it runs, since a number of the program
// says so. Every backend asks here, so that all of them say the same.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace tl {

// `index` is of an axis of `size` places.
void CheckIndex(double index, int axis, int64_t size);

// start, start + step, .. of `count` elements fit int32.
void CheckArange(double start, double step, int64_t count);

// A type that Decode can make numbers of to compute with.
[[noreturn]] void FailNotNumbers(DType dtype);

}  // namespace tl
