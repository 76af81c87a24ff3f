// What a convolution does to a sum before it is rounded.
#if defined(TL_CPU_CLAMP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_CLAMP_INL_H_
#undef TL_CPU_CLAMP_INL_H_
#else
#define TL_CPU_CLAMP_INL_H_
#endif

#include <optional>

#include "cpu/convolution_problem.h"
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

HWY_INLINE VF Clamped(VF v, const std::optional<Bounds>& bounds) {
  if (!bounds) return v;
  // As ops/elementwise.def says it: a NaN stays one.
  const F32 d;
  const VF clamped = hn::Min(hn::Max(v, hn::Set(d, bounds->low)),
                             hn::Set(d, bounds->high));
  return hn::IfThenElse(hn::IsNaN(v), v, clamped);
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_CLAMP_INL_H_
