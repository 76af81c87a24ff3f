// Products of few rows with packed weights, in int8: a walk over the packed
// bytes at the speed of memory. A run of weights is unpacked into the
// first-level cache and met there by every row of x:
//
//   sum over groups g of  w_scale[g] * x_scale[g] * (sum of w_q * x_q)
//                       + w_offset[g] * x_sum[g]
//
// with integers inside the brackets, float32 outside. Many rows:
// matmul_int8_tile-inl.h.
#if defined(TL_CPU_MATMUL_INT8_WALK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_MATMUL_INT8_WALK_INL_H_
#undef TL_CPU_MATMUL_INT8_WALK_INL_H_
#else
#define TL_CPU_MATMUL_INT8_WALK_INL_H_
#endif

#include <algorithm>

#include "base/parallel.h"
#include "cpu/int8_rows-inl.h"
#include "cpu/matmul_int8_fused-inl.h"
#include "exec/matmul_problem.h"
#include "cpu/unpack.h"

TL_INT8_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// A run is walked 32 bytes of integers at a time: a group of 32 or two of 16.
using WalkInts = hn::CappedTag<int32_t, 8>;
using WalkFloats = hn::RebindToFloat<WalkInts>;
using VWalk = hn::Vec<WalkFloats>;

// One run of a weight's row.
struct WeightRun {
  const UnpackedRun& unpacked;
  int64_t elements;
  int group;
  bool has_offset;
};

// The lane sums of `group` products from q and x on.
HWY_INLINE hn::Vec<WalkInts> DotGroup(const int8_t* q, const XInt* x,
                                      int group) {
  const WalkInts d;
  auto sum = hn::Zero(d);
#if HWY_TARGET == HWY_AVX3_DL
  const hn::Repartition<uint8_t, WalkInts> d8;
  const auto w = hn::Xor(
      hn::LoadU(d8, reinterpret_cast<const uint8_t*>(q)), hn::Set(d8, 0x80));
  sum = AddCells(sum, w,
                 hn::LoadU(d8, reinterpret_cast<const uint8_t*>(x)));
  (void)group;
#else
  const hn::Repartition<int16_t, WalkInts> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  for (int i = 0; i < group; i += static_cast<int>(hn::Lanes(d16))) {
    sum = AddCells(sum, hn::PromoteTo(d16, hn::LoadU(d8, q + i)),
                   hn::LoadU(d16, x + i));
  }
#endif
  return sum;
}

// factor[g] = w_scale * x_scale; and what the offsets and the shift of the
// weights add, summed over all groups of the run but for the lanes.
HWY_INLINE VF ScaleRun(const WeightRun& run, const float* x_scale,
                       const float* x_sum, float* factor, VF correction) {
  const F32 d;
  const VF shift = hn::Set(d, static_cast<float>(-kWeightShift));
  const int64_t groups = run.elements / run.group;
  for (int64_t g = 0; g < groups; g += static_cast<int64_t>(hn::Lanes(d))) {
    const VF scale = hn::LoadU(d, run.unpacked.scale + g);
    hn::StoreU(hn::Mul(scale, hn::LoadU(d, x_scale + g)), d, factor + g);
  }
  if (!run.has_offset && kWeightShift == 0) return correction;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t g = 0; g < groups; g += lanes) {
    VF times = hn::Mul(hn::LoadU(d, run.unpacked.scale + g), shift);
    if (run.has_offset) {
      times = hn::Add(times, hn::LoadU(d, run.unpacked.offset + g));
    }
    VF sum = hn::LoadU(d, x_sum + g);
    if (g + lanes > groups) {
      const auto valid = hn::FirstN(d, static_cast<size_t>(groups - g));
      sum = hn::IfThenElseZero(valid, sum);
      times = hn::IfThenElseZero(valid, times);
    }
    correction = hn::MulAdd(times, sum, correction);
  }
  return correction;
}

// One group a vector.
HWY_INLINE VWalk AddGroups(const WeightRun& run, const XInt* x,
                           const float* factor, VWalk sum) {
  const WalkFloats d;
  const int64_t groups = run.elements / run.group;
  VWalk sums[4] = {sum, hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  const int8_t* q = run.unpacked.q;
  int64_t g = 0;
  const auto add = [&](int64_t at, VWalk& to) TL_INT8_ATTR {
    const auto dot = DotGroup(q + at * run.group, x + at * run.group, run.group);
    to = hn::MulAdd(hn::ConvertTo(d, dot), hn::Set(d, factor[at]), to);
  };
  for (; g + 4 <= groups; g += 4) {
    add(g, sums[0]);
    add(g + 1, sums[1]);
    add(g + 2, sums[2]);
    add(g + 3, sums[3]);
  }
  for (; g < groups; ++g) add(g, sums[0]);
  return hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
}

#if HWY_TARGET == HWY_AVX3_DL
// Two groups of 16 a vector, each in its half.
HWY_INLINE VWalk AddPairs(const WeightRun& run, const XInt* x,
                          const float* factor, VWalk sum) {
  const WalkFloats d;
  alignas(32) static constexpr int32_t kHalves[8] = {0, 0, 0, 0, 1, 1, 1, 1};
  const auto halves = hn::SetTableIndices(d, kHalves);
  VWalk more = hn::Zero(d);
  const auto add = [&](int64_t at, VWalk& to) TL_INT8_ATTR {
    const auto dot = DotGroup(run.unpacked.q + at * 16, x + at * 16, 32);
    const VWalk both =
        hn::TableLookupLanes(hn::LoadU(d, factor + at), halves);
    to = hn::MulAdd(hn::ConvertTo(d, dot), both, to);
  };
  for (int64_t g = 0; g < run.elements / 16; g += 4) {
    add(g, sum);
    add(g + 2, more);
  }
  return hn::Add(sum, more);
}
#endif

// One row of x against one row of weights, run after run.
struct WalkSum {
  VWalk lanes;
  VF correction;
};

HWY_INLINE void AddRun(const WeightRun& run, const Int8Rows& x, int64_t row,
                       int64_t at, WalkSum& sum) {
  alignas(64) float factor[kUnpackRun / kMinGroup + kMaxFloatLanes];
  const int64_t g = row * x.groups() + at / x.group;
  sum.correction =
      ScaleRun(run, x.scale + g, x.sum + g, factor, sum.correction);
  const XInt* q = x.q + row * x.k + at;
#if HWY_TARGET == HWY_AVX3_DL
  if (run.group == 16) {
    sum.lanes = AddPairs(run, q, factor, sum.lanes);
    return;
  }
#endif
  sum.lanes = AddGroups(run, q, factor, sum.lanes);
}

// to[r] = row r of x times one row of weights.
template <int M>
HWY_INLINE void WalkRow(const PackedReader& reader, const std::byte* w,
                        const Int8Rows& x, int64_t m, UnpackedRun& unpacked,
                        float* to) {
  const int64_t rows = M == 1 ? 1 : m;
  WalkSum sums[M];
  for (WalkSum& sum : sums) {
    sum = {hn::Zero(WalkFloats()), hn::Zero(F32())};
  }
  for (int64_t at = 0; at < x.k; at += kUnpackRun) {
    const int64_t count = std::min(kUnpackRun, x.k - at);
    reader.unpack(w + reader.BytesOf(at), count / reader.type.block, unpacked);
    const WeightRun run = {unpacked, count, x.group, reader.type.has_offset};
    for (int64_t row = 0; row < rows; ++row) {
      AddRun(run, x, row, at, sums[row]);
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    to[row] = hn::GetLane(hn::SumOfLanes(WalkFloats(), sums[row].lanes)) +
              hn::GetLane(hn::SumOfLanes(F32(), sums[row].correction));
  }
}

inline constexpr int64_t kWalkRows = 8;  // more rows are worth packing for

// x[m, k] @ w[k, n] for m of at most kWalkRows; w is the transpose of a packed
// matrix. See MultiplyBlocked for `finish`.
template <class Finish>
void WalkInt8(const Matrix& x, const Matrix& w, int64_t m, int64_t k, int64_t n,
              const Finish& finish) {
  const PackedReader reader = PackedReaderOf(w.dtype);
  thread_local Scratch scratch;
  const Int8Rows rows = RoundRows(x, m, k, reader.type.group, scratch);
  const FusedWalk fused = FindFusedWalk(w.dtype, m, k);
  constexpr int64_t kTaskBytes = 128 << 10;
  const int64_t grain =
      std::clamp<int64_t>(kTaskBytes / reader.BytesOf(k), 1, 256);
  ParallelFor(n, grain, [&](int64_t begin, int64_t end) {
    UnpackedRun unpacked;
    thread_local Scratch sums_scratch;
    float* sums = sums_scratch.Get(m * grain);
    for (int64_t col = begin; col < end; ++col) {
      float products[kWalkRows];
      const std::byte* from = w.From(0, col).data;
      if (fused != nullptr) {
        fused(from, k / kMaxBlock, rows, products);
      } else if (m == 1) {
        WalkRow<1>(reader, from, rows, m, unpacked, products);
      } else {
        WalkRow<kWalkRows>(reader, from, rows, m, unpacked, products);
      }
      for (int64_t row = 0; row < m; ++row) {
        sums[row * grain + col - begin] = products[row];
      }
    }
    for (int64_t row = 0; row < m; ++row) {
      finish(row, begin, end - begin, sums + row * grain);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_MATMUL_INT8_WALK_INL_H_
