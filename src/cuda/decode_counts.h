// What conversions lose, counted on the card and read together: a model has
// hundreds of them, and each reading waits for the card.
#pragma once

#include "exec/backend.h"

namespace tl::cuda {

// In device memory: DecodeCounts in the order of its members.
struct LostCounts {
  unsigned long long overflowed, flushed, nan;
};

// Counters of one conversion, all zero. ReadCounts adds what becomes of them to
// `*to`, which must live until then.
LostCounts* CountersFor(DecodeCounts* to);

// Waits if there was a conversion since the last call.
void ReadCounts();
// Nobody wants to know any more.
void ForgetCounts();

}  // namespace tl::cuda
