// Rows of x rounded to int8, 32 elements to a scale, as products with packed
// weights take them: x = scale * q, |q| <= 127, half a scale off at most. The
// one place where such a product is less exact than float32; docs/numerics.md
// says by how much.
//
// Integers multiply four at a time where the processor has an instruction for
// it (VNNI: unsigned times signed bytes), else two at a time as int16. Cell
// says which; it is what a lane of 32 bits holds.
#if defined(TL_CPU_INT8_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_INT8_ROWS_INL_H_
#undef TL_CPU_INT8_ROWS_INL_H_
#else
#define TL_CPU_INT8_ROWS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/parallel.h"
#include "cpu/float_rows-inl.h"
#include "exec/matmul_problem.h"
#include "cpu/scratch.h"
#include "cpu/simd-inl.h"

// Highway 1.0 compiles AVX3_DL for VEX-encoded VNNI, which Zen 4 lacks, though it
// asks the processor for the EVEX-encoded one. Code that multiplies integers says
// TL_INT8_BEFORE_NAMESPACE and TL_INT8_ATTR in place of HWY_.
#undef TL_INT8_BEFORE_NAMESPACE
#undef TL_INT8_ATTR
#if HWY_TARGET == HWY_AVX3_DL
#define TL_INT8_BEFORE_NAMESPACE()                    \
  HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512vnni") \
  static_assert(true, "needs a semicolon")
#define TL_INT8_ATTR __attribute__((target(HWY_TARGET_STR ",avx512vnni")))
#else
#define TL_INT8_BEFORE_NAMESPACE HWY_BEFORE_NAMESPACE
#define TL_INT8_ATTR HWY_ATTR
#endif

TL_INT8_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL
using XInt = int8_t;   // an element of x
using WInt = uint8_t;  // of a weight: q + kWeightShift
inline constexpr int kWeightShift = 128;
#else
using XInt = int16_t;
using WInt = int16_t;
inline constexpr int kWeightShift = 0;
#endif
inline constexpr int kCell = 4 / static_cast<int>(sizeof(XInt));

// sum + the products of a lane's elements, added up within the lane.
#if HWY_TARGET == HWY_AVX3_DL
template <class V, class Bytes>
HWY_INLINE V AddCells(V sum, Bytes w, Bytes x) {
  // Not by intrinsic, which may be encoded as VEX. The last operand is signed.
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(w.raw), "v"(x.raw));
  return sum;
}
#else
template <class V, class Shorts>
HWY_INLINE V AddCells(V sum, Shorts w, Shorts x) {
  const hn::DFromV<V> d;
  V odd = hn::Zero(d);
  const V even = hn::ReorderWidenMulAccumulate(d, w, x, sum, odd);
  return hn::Add(even, odd);
}
#endif

inline constexpr int kXGroup = 32;  // elements of x that share a scale

// m rows of k elements, k a multiple of 32. Per group of the weights' type (16
// or 32 elements): the scale and the sum of x over the group, as float and, for
// the shift of the weights, as an integer.
struct Int8Rows {
  int64_t k;
  int group;
  XInt* q;        // [m, k]
  float* scale;   // [m, k / group]
  float* sum;     // [m, k / group]: scale * (sum of q)
  int32_t* shift; // [m, k / group]: -kWeightShift * (sum of q)

  int64_t groups() const { return k / group; }
};

// 32 elements. A group with an infinity or a NaN has a scale of NaN, and so
// have all results of its row.
HWY_INLINE void RoundGroup(const float* HWY_RESTRICT x, int group,
                           XInt* HWY_RESTRICT q, float* scale, float* sum,
                           int32_t* shift) {
  const F32 d;
  const I32Lanes di;
  const hn::Rebind<XInt, F32> dx;
  const int lanes = static_cast<int>(hn::Lanes(d));
  VF largest = hn::Zero(d), nothing = hn::Zero(d);
  for (int i = 0; i < kXGroup; i += lanes) {
    const VF v = hn::LoadU(d, x + i);
    largest = hn::Max(largest, hn::Abs(v));
    nothing = hn::Add(nothing, hn::Mul(v, hn::Zero(d)));  // NaN if not finite
  }
  const float bad = hn::GetLane(hn::SumOfLanes(d, nothing));
  const float top = hn::GetLane(hn::MaxOfLanes(d, largest));
  const bool finite = bad == 0;
  // Below this 127 / top overflows; such a group is as good as zero.
  const bool tiny = !(top > 127 * 0x1p-126f);
  const VF inverse = hn::Set(d, finite && !tiny ? 127 / top : 0.0f);
  const float step = !finite ? bad : tiny ? 0.0f : top / 127;
  for (int g = 0; g < kXGroup; g += group) {
    VI total = hn::Zero(di);
    for (int i = g; i < g + group; i += lanes) {
      const VF v = hn::LoadU(d, x + i);
      const VF finite_v = finite ? v : hn::Zero(d);
      const VI rounded = hn::NearestInt(hn::Mul(finite_v, inverse));
      total = hn::Add(total, rounded);
      hn::StoreU(hn::DemoteTo(dx, rounded), dx, q + i);
    }
    const int32_t whole = hn::GetLane(hn::SumOfLanes(di, total));
    *scale++ = step;
    *sum++ = step * static_cast<float>(whole);
    *shift++ = -kWeightShift * whole;
  }
}

inline void RoundRow(const Matrix& x, const Int8Rows& rows, int64_t row,
                     float* floats) {
  DecodeRow(x.From(row, 0), rows.k, rows.k, floats);
  const int per = kXGroup / rows.group;
  for (int64_t i = 0; i < rows.k; i += kXGroup) {
    const int64_t g = row * rows.groups() + i / kXGroup * per;
    RoundGroup(floats + i, rows.group, rows.q + row * rows.k + i,
               rows.scale + g, rows.sum + g, rows.shift + g);
  }
}

// The rows of x[m, k], in memory of `scratch`.
inline Int8Rows RoundRows(const Matrix& x, int64_t m, int64_t k, int group,
                          Scratch& scratch) {
  const int64_t groups = m * k / group;
  const int64_t cells = m * k / kCell;
  float* memory = scratch.Get(cells + 3 * groups + kMaxFloatLanes);
  Int8Rows rows = {k,
                   group,
                   reinterpret_cast<XInt*>(memory),
                   memory + cells,
                   memory + cells + groups,
                   reinterpret_cast<int32_t*>(memory + cells + 2 * groups)};
  ParallelFor(m, std::max<int64_t>(1, (32 << 10) / k),
              [&](int64_t begin, int64_t end) {
                thread_local Scratch floats;
                float* buffer = floats.Get(k);
                for (int64_t row = begin; row < end; ++row) {
                  RoundRow(x, rows, row, buffer);
                }
              });
  return rows;
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_INT8_ROWS_INL_H_
