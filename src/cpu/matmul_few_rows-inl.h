// Products with few rows of x: a walk over the weights at the speed of memory.
// Every weight is read once, decoded in registers and used for all rows; the
// rows of x, decoded, stay in cache. Two walks, by which axis of w is
// contiguous: dot products along K, or weighted sums of whole rows along N.
#if defined(TL_CPU_MATMUL_FEW_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_MATMUL_FEW_ROWS_INL_H_
#undef TL_CPU_MATMUL_FEW_ROWS_INL_H_
#else
#define TL_CPU_MATMUL_FEW_ROWS_INL_H_
#endif

#include <algorithm>
#include <type_traits>

#include "base/parallel.h"
#include "cpu/float_rows-inl.h"
#include "cpu/matmul_pack-inl.h"
#include "exec/matmul_problem.h"
#include "cpu/matmul_tile-inl.h"
#include "cpu/scratch.h"
#include "cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// Above this many rows arithmetic costs more than memory: packing wins.
inline constexpr int64_t kFewRows = 8;
// Depths are padded with zeros to whole vectors of any target.
inline constexpr int64_t kDepthStep = 16;
static_assert(kDepthStep % kTileLanes == 0);

// Rows of x as f32, `stride` apart, rows up to `padded_rows` and elements up
// to `stride` filled with zeros.
inline void DecodeRows(const Matrix& x, int64_t rows, int64_t padded_rows,
                       int64_t depth, int64_t stride, float* to) {
  for (int64_t row = 0; row < rows; ++row) {
    DecodeRow(x.From(row, 0), depth, stride, to + row * stride);
  }
  std::fill(to + rows * stride, to + padded_rows * stride, 0.0f);
}

// One step of all sums: the vectors at depth k.
template <int M, int C, class X, class T>
HWY_INLINE void AddProducts(const X* HWY_RESTRICT x, int64_t x_stride,
                            const T* HWY_RESTRICT w, int64_t w_stride,
                            VF (&sum)[M][C]) {
  VF weight[C];
  HWY_UNROLL(16)
  for (int c = 0; c < C; ++c) weight[c] = LoadFloat(w + c * w_stride);
  HWY_UNROLL(16)
  for (int m = 0; m < M; ++m) {
    const VF value = LoadFloat(x + m * x_stride);
    HWY_UNROLL(16)
    for (int c = 0; c < C; ++c) {
      sum[m][c] = hn::MulAdd(value, weight[c], sum[m][c]);
    }
  }
}

// to[c] = the sum of the lanes of v[c].
template <int C>
HWY_INLINE void StoreSums(const VF (&v)[C], float* to) {
  HWY_UNROLL(16)
  for (int c = 0; c < C; ++c) to[c] = hn::GetLane(hn::SumOfLanes(F32(), v[c]));
}

#if HWY_TARGET != HWY_SCALAR
template <class D>
HWY_INLINE void StoreSumOfBlocks(D d, hn::Vec<D> v, float* to) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    hn::StoreU(v, d, to);
  } else {
    const hn::Half<D> half;
    StoreSumOfBlocks(
        half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), to);
  }
}

// Four at a time cost half as much as one by one.
template <>
HWY_INLINE void StoreSums<4>(const VF (&v)[4], float* to) {
  const F32 d;
  const hn::Repartition<double, F32> pair;
  const auto v01 =
      hn::BitCast(pair, hn::Add(hn::InterleaveLower(d, v[0], v[1]),
                                hn::InterleaveUpper(d, v[0], v[1])));
  const auto v23 =
      hn::BitCast(pair, hn::Add(hn::InterleaveLower(d, v[2], v[3]),
                                hn::InterleaveUpper(d, v[2], v[3])));
  StoreSumOfBlocks(d,
                   hn::Add(hn::BitCast(d, hn::InterleaveLower(pair, v01, v23)),
                           hn::BitCast(d, hn::InterleaveUpper(pair, v01, v23))),
                   to);
}
#endif

// out[m * out_stride + c] = x row m . w column c for C columns of w, each
// contiguous along the depth and `w_stride` apart. x is padded with zeros. While
// these columns pass, the columns after them are fetched.
template <int M, int C, int Chains, class X, class T>
HWY_INLINE void DotColumns(const X* HWY_RESTRICT x, int64_t x_stride,
                           const T* HWY_RESTRICT w, int64_t w_stride,
                           int64_t depth, float* out, int64_t out_stride) {
  constexpr int64_t kStep = Chains * kTileLanes;
  constexpr int kVectorsPerLine =
      std::max<int>(1, 64 / (kTileLanes * sizeof(T)));
  const F32 d;
  VF sum[Chains][M][C];
  HWY_UNROLL(16)
  for (int i = 0; i < Chains; ++i) {
    HWY_UNROLL(16)
    for (int m = 0; m < M; ++m) {
      HWY_UNROLL(16)
      for (int c = 0; c < C; ++c) sum[i][m][c] = hn::Zero(d);
    }
  }
  int64_t k = 0;
  for (; k + kStep <= depth; k += kStep) {
    HWY_UNROLL(16)
    for (int i = 0; i < Chains; ++i) {
      const T* part = w + k + i * kTileLanes;
      if (i % kVectorsPerLine == 0) {
        for (int c = C; c < 2 * C; ++c) hwy::Prefetch(part + c * w_stride);
      }
      AddProducts<M, C>(x + k + i * kTileLanes, x_stride, part, w_stride,
                        sum[i]);
    }
  }
  for (; k + kTileLanes <= depth; k += kTileLanes) {
    AddProducts<M, C>(x + k, x_stride, w + k, w_stride, sum[0]);
  }
  if (k < depth) {
    alignas(64) T rest[C][kMaxFloatLanes] = {};
    for (int c = 0; c < C; ++c) {
      std::copy(w + c * w_stride + k, w + c * w_stride + depth, rest[c]);
    }
    AddProducts<M, C>(x + k, x_stride, rest[0],
                      static_cast<int64_t>(kMaxFloatLanes), sum[0]);
  }
  HWY_UNROLL(16)
  for (int m = 0; m < M; ++m) {
    HWY_UNROLL(16)
    for (int c = 0; c < C; ++c) {
      HWY_UNROLL(16)
      for (int i = 1; i < Chains; ++i) {
        sum[0][m][c] = hn::Add(sum[0][m][c], sum[i][m][c]);
      }
    }
    StoreSums(sum[0][m], out + m * out_stride);
  }
}

// Dot products of M rows with `cols` columns of w. A single row reads w as one
// stream, which memory likes best, in enough sums to hide the latency of
// multiply-adds; more rows share each load of x among columns instead.
template <int M, class X, class T>
void DotLong(const X* x, int64_t x_stride, const T* w, int64_t w_stride,
             int64_t depth, int64_t cols, float* out, int64_t out_stride) {
  constexpr int kAtOnce = M == 1 ? 1 : M == 8 ? 3 : 4;
  constexpr int kChains = M == 1 ? 8 : M == 2 ? 2 : 1;
  int64_t col = 0;
  for (; col + kAtOnce <= cols; col += kAtOnce) {
    DotColumns<M, kAtOnce, kChains>(x, x_stride, w + col * w_stride, w_stride,
                                    depth, out + col, out_stride);
  }
  for (; col < cols; ++col) {
    DotColumns<M, 1, kChains>(x, x_stride, w + col * w_stride, w_stride, depth,
                              out + col, out_stride);
  }
}

// The same for columns so short that the sums across lanes count, and the
// processor does not see the next column coming.
template <int M, class X, class T>
void DotShort(const X* x, int64_t x_stride, const T* w, int64_t w_stride,
              int64_t depth, int64_t cols, float* out, int64_t out_stride) {
  constexpr int kAtOnce = 4;
  constexpr int kAhead = 16;
  constexpr int kRows = M == 8 ? 4 : M;
  int64_t col = 0;
  for (; col + kAtOnce <= cols; col += kAtOnce) {
    for (int c = 0; c < kAtOnce; ++c) {
      FetchRun(w + (col + kAhead + c) * w_stride, depth);
    }
    for (int m = 0; m < M; m += kRows) {
      DotColumns<kRows, kAtOnce, 1>(x + m * x_stride, x_stride,
                                    w + col * w_stride, w_stride, depth,
                                    out + m * out_stride + col, out_stride);
    }
  }
  for (; col < cols; ++col) {
    DotColumns<M, 1, 1>(x, x_stride, w + col * w_stride, w_stride, depth,
                        out + col, out_stride);
  }
}

template <int M, class X, class T>
void DotMany(const X* x, int64_t x_stride, const T* w, int64_t w_stride,
             int64_t depth, int64_t cols, float* out, int64_t out_stride) {
  constexpr int64_t kLong = 512;
  const auto dot = depth < kLong ? DotShort<M, X, T> : DotLong<M, X, T>;
  dot(x, x_stride, w, w_stride, depth, cols, out, out_stride);
}

// out[M, cols] += x[M, Rows] * w[Rows, cols], w rows contiguous and `w_stride`
// apart. While these rows pass, the rows after them are fetched.
template <int M, int Rows, class T>
HWY_INLINE void AddRows(const float* HWY_RESTRICT x, int64_t x_stride,
                        const T* HWY_RESTRICT w, int64_t w_stride, int64_t cols,
                        float* HWY_RESTRICT out, int64_t out_stride) {
  const F32 d;
  int64_t col = 0;
  for (; col + kTileLanes <= cols; col += kTileLanes) {
    VF sum[M];
    HWY_UNROLL(16)
    for (int m = 0; m < M; ++m)
      sum[m] = hn::LoadU(d, out + m * out_stride + col);
    HWY_UNROLL(16)
    for (int r = 0; r < Rows; ++r) {
      const T* p = w + r * w_stride + col;
      const VF weight = LoadFloat(p);
      if constexpr (Rows > 1) hwy::Prefetch(p + Rows * w_stride);
      HWY_UNROLL(16)
      for (int m = 0; m < M; ++m) {
        sum[m] = hn::MulAdd(hn::Set(d, x[m * x_stride + r]), weight, sum[m]);
      }
    }
    HWY_UNROLL(16)
    for (int m = 0; m < M; ++m)
      hn::StoreU(sum[m], d, out + m * out_stride + col);
  }
  if (col == cols) return;
  const size_t rest = static_cast<size_t>(cols - col);
  for (int m = 0; m < M; ++m) {
    float* to = out + m * out_stride + col;
    VF sum = LoadFirst(to, rest);
    for (int r = 0; r < Rows; ++r) {
      sum = hn::MulAdd(hn::Set(d, x[m * x_stride + r]),
                       LoadFirst(w + r * w_stride + col, rest), sum);
    }
    StoreFirst(sum, to, rest);
  }
}

// out[M, cols] = x[M, depth] @ w[depth, cols].
template <int M, class T>
void AddMany(const float* x, int64_t x_stride, const T* w, int64_t w_stride,
             int64_t depth, int64_t cols, float* out, int64_t out_stride) {
  constexpr int kAtOnce = 8;
  for (int m = 0; m < M; ++m) {
    std::fill_n(out + m * out_stride, cols, 0.0f);
  }
  int64_t k = 0;
  for (; k + kAtOnce <= depth; k += kAtOnce) {
    AddRows<M, kAtOnce>(x + k, x_stride, w + k * w_stride, w_stride, cols, out,
                        out_stride);
  }
  for (; k < depth; ++k) {
    AddRows<M, 1>(x + k, x_stride, w + k * w_stride, w_stride, cols, out,
                  out_stride);
  }
}

// Calls f with the number of rows that kernels exist for, as a constant.
template <class F>
void WithRows(int64_t rows, const F& f) {
  if (rows == 1) return f(std::integral_constant<int, 1>());
  if (rows == 2) return f(std::integral_constant<int, 2>());
  if (rows <= 4) return f(std::integral_constant<int, 4>());
  f(std::integral_constant<int, 8>());
}

inline int64_t PaddedRows(int64_t rows) {
  return rows <= 2 ? rows : rows <= 4 ? 4 : 8;
}

// Rows of x in their own type, `stride` apart, the rest up to `padded` rows and
// `stride` elements filled with zeros.
template <class X>
void CopyRows(const Matrix& x, int64_t rows, int64_t padded, int64_t depth,
              int64_t stride, X* to) {
  std::fill_n(to, padded * stride, X{0});
  for (int64_t row = 0; row < rows; ++row) {
    const X* from = x.From(row, 0).as<X>();
    X* out = to + row * stride;
    if (x.col_stride == 1) {
      std::copy_n(from, depth, out);
    } else {
      for (int64_t k = 0; k < depth; ++k) out[k] = from[k * x.col_stride];
    }
  }
}

// Columns of w contiguous along K. F16 rows of x are decoded again for each
// column: they take half the room in the first-level cache, through which w
// streams, and loads of x that miss it cost more than decoding.
template <class X, class T, class Finish>
void WalkColumns(const Matrix& x, const Matrix& w, int64_t m, int64_t k,
                 int64_t n, const Finish& finish) {
  // Enough columns that copying x again for each task is lost in them.
  constexpr int64_t kTaskWeights = int64_t{128} << 10;
  const int64_t width = std::clamp<int64_t>(kTaskWeights / k, 24, 1024);
  const int64_t padded = PaddedRows(m);
  const int64_t x_stride = RoundUp(k, kDepthStep);
  ParallelFor(n, width, [&](int64_t begin, int64_t end) {
    thread_local Scratch scratch;
    float* out = scratch.Get(padded * (x_stride + width));
    X* rows = reinterpret_cast<X*>(out + padded * width);
    CopyRows(x, m, padded, k, x_stride, rows);
    WithRows(m, [&](auto count) {
      DotMany<count()>(rows, x_stride, w.From(0, begin).as<T>(), w.col_stride,
                       k, end - begin, out, width);
    });
    for (int64_t r = 0; r < m; ++r) {
      finish(r, begin, end - begin, out + r * width);
    }
  });
}

// How rows of w are shared out: strips of columns whose sums stay in the
// first-level cache, and parts of K. Memory likes whole rows best, so K is cut
// before N; the parts are summed in order.
struct RowWalk {
  int64_t width, strips;
  int64_t depth, parts;
};

inline RowWalk RowWalkOf(int64_t padded_rows, int64_t k, int64_t n) {
  constexpr int64_t kSums = 4096;     // 16 KB
  constexpr int64_t kTasks = 16;      // wanted
  constexpr int64_t kMinDepth = 128;  // worth a task
  RowWalk walk;
  walk.width = std::min(RoundUp(n, kDepthStep), kSums / padded_rows);
  walk.strips = CeilDiv(n, walk.width);
  const int64_t wanted = std::clamp<int64_t>(
      std::min(CeilDiv(kTasks, walk.strips), k / kMinDepth), 1, kTasks);
  walk.depth = RoundUp(CeilDiv(k, wanted), 8);
  walk.parts = CeilDiv(k, walk.depth);
  return walk;
}

// Rows of w contiguous along N.
template <class T, class Finish>
void WalkRows(const Matrix& x, const Matrix& w, int64_t m, int64_t k, int64_t n,
              const Finish& finish) {
  const int64_t padded = PaddedRows(m);
  const RowWalk walk = RowWalkOf(padded, k, n);
  const int64_t task_sums = padded * walk.width;
  thread_local Scratch sums_scratch;
  float* sums = sums_scratch.Get(walk.parts * walk.strips * task_sums);
  ParallelFor(walk.strips * walk.parts, 1, [&](int64_t begin, int64_t end) {
    thread_local Scratch scratch;
    float* rows = scratch.Get(padded * walk.depth);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t col = task % walk.strips * walk.width;
      const int64_t k0 = task / walk.strips * walk.depth;
      const int64_t depth = std::min(walk.depth, k - k0);
      DecodeRows(x.From(0, k0), m, padded, depth, walk.depth, rows);
      WithRows(m, [&](auto count) {
        AddMany<count()>(rows, walk.depth, w.From(k0, col).as<T>(),
                         w.row_stride, depth, std::min(walk.width, n - col),
                         sums + task * task_sums, walk.width);
      });
    }
  });
  ParallelFor(walk.strips, 1, [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) {
      const int64_t col = strip * walk.width;
      const int64_t cols = std::min(walk.width, n - col);
      for (int64_t r = 0; r < m; ++r) {
        float* sum = sums + strip * task_sums + r * walk.width;
        for (int64_t part = 1; part < walk.parts; ++part) {
          const float* more = sum + part * walk.strips * task_sums;
          for (int64_t c = 0; c < cols; ++c) sum[c] += more[c];
        }
        finish(r, col, cols, sum);
      }
    }
  });
}

// Whether there is a walk for this w.
inline bool CanWalk(const Matrix& w, int64_t m, int64_t n) {
  return m <= kFewRows &&
         (w.row_stride == 1 || (w.col_stride == 1 && n >= kTileLanes));
}

// x[m, k] @ w[k, n], none of them 0; see MultiplyBlocked for `finish`.
template <class Finish>
void MultiplyFewRows(const Matrix& x, const Matrix& w, int64_t m, int64_t k,
                     int64_t n, const Finish& finish) {
  const auto walk = [&](auto type) {
    using T = decltype(type);
    if (w.row_stride != 1) {
      WalkRows<T>(x, w, m, k, n, finish);
    } else if (x.dtype == DType::F16) {
      WalkColumns<uint16_t, T>(x, w, m, k, n, finish);
    } else {
      WalkColumns<float, T>(x, w, m, k, n, finish);
    }
  };
  w.dtype == DType::F16 ? walk(uint16_t{}) : walk(float{});
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_MATMUL_FEW_ROWS_INL_H_
