#include "cpu/half_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/half_rows.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

template <class From, class To>
HWY_INLINE void Convert(const From* from, To* to, int64_t count) {
  const auto lanes = static_cast<int64_t>(FloatLanes());
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    StoreFloat(LoadFloat(from + i), to + i);
  }
  if (i < count) StoreFirst(LoadFirst(from + i, count - i), to + i, count - i);
}

void HalvesToFloatsOfTarget(const uint16_t* from, float* to, int64_t count) {
  Convert(from, to, count);
}
void FloatsToHalvesOfTarget(const float* from, uint16_t* to, int64_t count) {
  Convert(from, to, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(HalvesToFloatsOfTarget);
HWY_EXPORT(FloatsToHalvesOfTarget);

void HalvesToFloats(const uint16_t* from, float* to, int64_t count) {
  HWY_DYNAMIC_DISPATCH(HalvesToFloatsOfTarget)(from, to, count);
}
void FloatsToHalves(const float* from, uint16_t* to, int64_t count) {
  HWY_DYNAMIC_DISPATCH(FloatsToHalvesOfTarget)(from, to, count);
}

}  // namespace tl::cpu
#endif
