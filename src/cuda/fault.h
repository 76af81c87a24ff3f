// What a kernel finds wrong with its operands while it runs. It goes on (an
// index out of range is read as 0), and Synchronize reports the first fault of
// each launch in the order of its elements, as the CPU does.
#pragma once

#include <cstdint>

namespace tl::cuda {

// In device memory; an index that has no place on its axis, packed so that the
// smallest is the first: position of the index, and its bits.
struct Fault {
  unsigned long long first;
};

inline constexpr unsigned long long kNoFault = ~0ull;

// A fault record for one launch, to be looked at by RaiseFaults. Positions that
// do not fit 32 bits share the last.
Fault* FaultFor(int axis, int64_t size);

// Waits if any launch could fail since the last call, and fails as it says.
void RaiseFaults();

}  // namespace tl::cuda
