#include "cpu/simd_targets.h"

#include "base/error.h"
#include "hwy/highway.h"

namespace tl::cpu {

void RequireSimdTarget() {
  if (SimdTargets().empty()) {
    Fail(ErrorKind::kInternal,
         "this processor is too old: the program needs SSE4.2 (x86-64-v2)");
  }
}

std::vector<int64_t> SimdTargets() {
  return hwy::SupportedAndGeneratedTargets();
}

std::string_view SimdTargetName(int64_t target) {
  return hwy::TargetName(target);
}

int64_t CurrentSimdTarget() { return SimdTargets().front(); }

void UseSimdTarget(int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace tl::cpu
