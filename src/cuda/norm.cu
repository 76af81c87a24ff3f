// Layer and rms norm: f32 inside a row, rounded once. A row that fits the
// registers of a block is read once; many of which a block holds few go through
// shared memory, fetched while others are worked on. Of a longer one the
// segments' moments are found first, each exactly from registers.
#include <memory>

#include "cuda/kernels.h"
#include "cuda/row_ring.cuh"
#include "cuda/rows.cuh"

namespace tl::cuda {
namespace {

// A weight or bias, shared by all rows.
struct Column {
  enum class Type : uint8_t { kNone, kHalf, kFloat, kInt };
  const void* data;
  Type type;
};

// What is not there is `fill`.
template <int kWidth>
TL_DEVICE void LoadColumn(const Column& column, int64_t at, float fill,
                          float (&to)[kWidth]) {
  const auto load = [&](const auto* from) {
    const auto pack = LoadPack<kWidth>(from + at);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) to[i] = ToFloat(pack.at[i]);
  };
  switch (column.type) {
    case Column::Type::kHalf:
      return load(static_cast<const uint16_t*>(column.data));
    case Column::Type::kFloat:
      return load(static_cast<const float*>(column.data));
    case Column::Type::kInt:
      return load(static_cast<const int32_t*>(column.data));
    case Column::Type::kNone:
      break;
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) to[i] = fill;
}

struct NormParameters {
  Column weight, bias;
  float eps;
  bool around_mean;
};

// Of some elements: how many there are, their mean, and the sum of their
// squared distances from it. Without a mean: from 0.
struct Moments {
  float count;
  float mean;
  float squares;
};

// (x - mean) * scale * weight + bias over part of a row that begins at `first`.
template <int kWidth, class To>
TL_DEVICE void WriteNorm(const float (&values)[kRowFloats<kWidth>], int count,
                         int64_t first, const Moments& moments,
                         const NormParameters& norm, To* to) {
  const float scale = 1 / sqrtf(moments.squares / moments.count + norm.eps);
  float weight[kWidth] = {}, bias[kWidth] = {};
  StoreRow<kWidth>(values, count, to, [&](float value, int i) {
    if (i % kWidth == 0) {
      const int64_t at = first + PlaceOfPack<kWidth>(i / kWidth);
      LoadColumn(norm.weight, at, 1, weight);
      LoadColumn(norm.bias, at, 0, bias);
    }
    return (value - moments.mean) * scale * weight[i % kWidth] +
           bias[i % kWidth];
  });
}

// Of the `count` elements that a block holds, the others being 0.
template <int kWidth>
TL_DEVICE Moments MomentsOf(const float (&values)[kRowFloats<kWidth>],
                            int count, bool around_mean) {
  Moments moments = {static_cast<float>(count), 0, 0};
  if (around_mean) {
    float sum = 0;
#pragma unroll
    for (float value : values) sum += value;
    moments.mean = RowReduce(sum, Plus{}) / moments.count;
  }
#pragma unroll
  for (int p = 0; p < kRowPacks<kWidth>; ++p) {
    if (PlaceOfPack<kWidth>(p) >= count) break;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const float distance = values[p * kWidth + i] - moments.mean;
      moments.squares += distance * distance;
    }
  }
  moments.squares = RowReduce(moments.squares, Plus{});
  return moments;
}

template <class T, class To, int kWidth>
__global__ void __launch_bounds__(kMostRowThreads)
    NormRows(const T* x, To* y, int64_t rows, int count, NormParameters norm) {
  const auto [row, inside] = RowOfThread(rows);
  float values[kRowFloats<kWidth>];
  LoadRow<kWidth>(x + row * count, count, 0, values);
  const Moments moments = MomentsOf<kWidth>(values, count, norm.around_mean);
  if (inside) {
    WriteNorm<kWidth>(values, count, 0, moments, norm, y + row * count);
  }
}

// A thread's packs of a column of T's, or of ones or zeros: read once for all
// rows of a block, since one of 64 KB for each row would be as much as the
// rows.
template <class T>
struct HeldColumn {
  using Ring = RowRing<T>;
  static constexpr int kWidth = Ring::kWidth;
  uint4 packs[kRingPacks];

  TL_DEVICE HeldColumn(const Ring& ring, const Column& column, float fill) {
    typename Ring::RowPack filled;
#pragma unroll
    for (T& element : filled.at) FromFloat(fill, element);
#pragma unroll
    for (int p = 0; p < kRingPacks; ++p) {
      const int at = PlaceOfPack<kWidth>(p);
      memcpy(&packs[p], &filled, sizeof(filled));
      if (column.data == nullptr || at >= ring.count) continue;
      packs[p] = *reinterpret_cast<const uint4*>(
          static_cast<const T*>(column.data) + at);
    }
  }
  // All of them as floats are more than a thread has registers for: they must
  // not become floats before the first row.
  TL_DEVICE void Get(int p, float (&to)[kWidth]) const {
    uint4 words = packs[p];
    asm volatile(""
                 : "+r"(words.x), "+r"(words.y), "+r"(words.z), "+r"(words.w));
    typename Ring::RowPack pack;
    memcpy(&pack, &words, sizeof(pack));
#pragma unroll
    for (int i = 0; i < kWidth; ++i) to[i] = ToFloat(pack.at[i]);
  }
};

template <class T>
bool CanHold(const Column& column) {
  using Type = Column::Type;
  constexpr Type kOwn =
      std::is_same_v<T, uint16_t> ? Type::kHalf : Type::kFloat;
  return column.type == Type::kNone || column.type == kOwn;
}

template <class T>
TL_DEVICE Moments MomentsOfStage(const RowRing<T>& ring, int stage,
                                 bool around_mean, RingReduce& reduce) {
  constexpr int kWidth = RowRing<T>::kWidth;
  Moments moments = {static_cast<float>(ring.count), 0, 0};
  if (around_mean) {
    float sum = 0;
    ring.ForEachPack(stage, [&](const float(&values)[kWidth], int, int) {
#pragma unroll
      for (float value : values) sum += value;
    });
    moments.mean = reduce(sum, Plus{}, 0.0f) / moments.count;
  }
  ring.ForEachPack(stage, [&](const float(&values)[kWidth], int, int) {
#pragma unroll
    for (float value : values) {
      const float distance = value - moments.mean;
      moments.squares += distance * distance;
    }
  });
  moments.squares = reduce(moments.squares, Plus{}, 0.0f);
  return moments;
}

// As NormRows.
template <class T, class To>
__global__ void __launch_bounds__(kMostRowThreads)
    NormRing(RowRing<T> ring, To* y, NormParameters norm) {
  constexpr int kWidth = RowRing<T>::kWidth;
  const HeldColumn<T> weight(ring, norm.weight, 1), bias(ring, norm.bias, 0);
  RingReduce reduce;
  ring.ForEachRow([&](int64_t row, int stage) {
    const Moments moments =
        MomentsOfStage(ring, stage, norm.around_mean, reduce);
    const float scale = 1 / sqrtf(moments.squares / moments.count + norm.eps);
    ring.ForEachPack(stage, [&](float(&values)[kWidth], int p, int at) {
      float factor[kWidth], summand[kWidth];
      weight.Get(p, factor);
      bias.Get(p, summand);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        values[i] = (values[i] - moments.mean) * scale * factor[i] + summand[i];
      }
      StoreFloats(values, y + row * ring.count + at);
    });
  });
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kMostRowThreads)
    MomentsOfSegments(const T* x, RowCut cut, bool around_mean,
                      Moments* moments) {
  const RowPart part = PartOfBlock(cut);
  const int count = static_cast<int>(part.end - part.begin);
  float values[kRowFloats<kWidth>];
  LoadRow<kWidth>(x + part.row * cut.count + part.begin, count, 0, values);
  const Moments found = MomentsOf<kWidth>(values, count, around_mean);
  if (threadIdx.x == 0) moments[blockIdx.x] = found;
}

// Chan, Golub and LeVeque (1979), written so that operands may be swapped.
struct JoinMoments {
  bool around_mean;

  TL_DEVICE Moments operator()(Moments a, Moments b) const {
    const float squares = __fadd_rn(a.squares, b.squares);
    const float count = a.count + b.count;
    if (!around_mean || count == 0) return {count, 0, squares};
    const float share_a = a.count / count, share_b = b.count / count;
    const float apart = b.mean - a.mean;
    return {count,
            __fadd_rn(__fmul_rn(a.mean, share_a), __fmul_rn(b.mean, share_b)),
            __fadd_rn(squares, __fmul_rn(__fmul_rn(apart, apart),
                                         __fmul_rn(__fmul_rn(share_a, share_b),
                                                   count)))};
  }
};

template <class T, class To, int kWidth>
__global__ void __launch_bounds__(kMostRowThreads)
    NormSegments(const T* x, To* y, RowCut cut, const Moments* moments,
                 NormParameters norm) {
  const RowPart part = PartOfBlock(cut);
  const int count = static_cast<int>(part.end - part.begin);
  const int64_t at = part.row * cut.count + part.begin;
  float values[kRowFloats<kWidth>];
  LoadRow<kWidth>(x + at, count, 0, values);
  const JoinMoments join = {norm.around_mean};
  Moments whole = {0, 0, 0};
  for (int64_t i = threadIdx.x; i < cut.segments; i += blockDim.x) {
    whole = join(whole, moments[part.row * cut.segments + i]);
  }
  whole = BlockReduce(whole, join);
  WriteNorm<kWidth>(values, count, part.begin, whole, norm, y + at);
}

template <class T, class To, int kWidth>
void RunRows(const T* x, To* y, int64_t rows, int64_t count,
             const NormParameters& norm) {
  if constexpr (kWidth > 1) {
    // Without a mean a row has only one wait.
    const int64_t short_bytes = (norm.around_mean ? 16 : 32) << 10;
    const auto shape = RingShape<T>(rows, count, short_bytes);
    if (shape && CanHold<T>(norm.weight) && CanHold<T>(norm.bias)) {
      const RowRing<T> ring = {x, rows, static_cast<int>(count)};
      return Launch(NormRing<T, To>, *shape, ring, y, norm);
    }
  }
  if (count <= kRowCapacity<kWidth>) {
    return Launch(NormRows<T, To, kWidth>, RowsShape<kWidth>(rows, count), x, y,
                  rows, static_cast<int>(count), norm);
  }
  constexpr int64_t kThreads = 512;
  constexpr int64_t kSegment = kThreads * kRowFloats<kWidth>;
  const RowCut cut = {rows, count, kSegment, CeilDiv(count, kSegment)};
  const auto memory = Allocate(rows * cut.segments * int64_t{sizeof(Moments)});
  auto* moments = reinterpret_cast<Moments*>(memory.get());
  Launch(MomentsOfSegments<T, kWidth>, cut.shape(kThreads), x, cut,
         norm.around_mean, moments);
  Launch(NormSegments<T, To, kWidth>, cut.shape(kThreads), x, y, cut, moments,
         norm);
}

void RunNorm(const View& x, const View& y, int64_t count,
             const NormParameters& norm) {
  if (y.size() == 0) return;
  const int64_t rows = y.size() / count;
  const bool aligned = IsAligned(x.data) && IsAligned(y.data) &&
                       IsAligned(norm.weight.data) && IsAligned(norm.bias.data);
  WithElements(x.dtype, [&]<class T>(T) {
    WithFloats(y.dtype, [&]<class To>(To) {
      constexpr int kWidth = std::is_same_v<T, int32_t> ? 1 : kWide<T>;
      if (aligned && count % kWidth == 0) {
        RunRows<T, To, kWidth>(x.as<T>(), y.as<To>(), rows, count, norm);
      } else {
        RunRows<T, To, 1>(x.as<T>(), y.as<To>(), rows, count, norm);
      }
    });
  });
}

Column ColumnOf(const View& view) {
  using Type = Column::Type;
  if (view.dtype == DType::F16) return {view.data, Type::kHalf};
  if (view.dtype == DType::F32) return {view.data, Type::kFloat};
  TL_CHECK(view.dtype == DType::I32);
  return {view.data, Type::kInt};
}

constexpr Column kNoColumn = {nullptr, Column::Type::kNone};

}  // namespace

void LayerNorm(const KernelArgs& args) {
  const View& x = args.inputs[0];
  int64_t count = 1;
  for (int64_t i = 0; i < args.ints[0]; ++i) count *= x.dims[x.rank - 1 - i];
  const bool has_weight = args.ints[1] & 1, has_bias = args.ints[1] & 2;
  RunNorm(x, args.outputs[0], count,
          {has_weight ? ColumnOf(args.inputs[1]) : kNoColumn,
           has_bias ? ColumnOf(args.inputs[has_weight ? 2 : 1]) : kNoColumn,
           static_cast<float>(args.numbers[0]), true});
}

void RmsNorm(const KernelArgs& args) {
  const View& x = args.inputs[0];
  RunNorm(x, args.outputs[0], x.dims[x.rank - 1],
          {args.inputs.size() > 1 ? ColumnOf(args.inputs[1]) : kNoColumn,
           kNoColumn, static_cast<float>(args.numbers[0]), false});
}

}  // namespace tl::cuda
