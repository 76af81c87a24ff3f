#include "base/error.h"

namespace tl {

void CheckFailed(const char* condition, const char* file, int line) {
  Fail(ErrorKind::kInternal, "internal error at {}:{}: {} does not hold", file,
       line, condition);
}

}  // namespace tl
