#include "ops/run_checks.h"

#include <limits>

#include "base/error.h"

namespace tl {

void CheckIndex(double index, int axis, int64_t size) {
  if (index >= 0 && index < static_cast<double>(size)) return;
  Fail(ErrorKind::kProgram, "index {} is out of range for axis {} of size {}",
       index, axis, size);
}

void CheckArange(double start, double step, int64_t count) {
  using Int = std::numeric_limits<int32_t>;
  if (count == 0) return;
  for (const double end :
       {start, start + step * static_cast<double>(count - 1)}) {
    if (end >= Int::min() && end <= Int::max()) continue;
    Fail(ErrorKind::kProgram, "arange reaches {}, which int32 cannot hold",
         end);
  }
}

void FailNotNumbers(DType dtype) {
  Fail(ErrorKind::kInternal, "{} is not a type of numbers to compute with",
       Info(dtype).name);
}

}  // namespace tl
