// Cumsum: the running sum along an axis, f32 for floats, wrapping for integers.
// A lane is summed from its first element to its last whatever the threads.
#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "cpu/half_rows.h"
#include "cpu/kernels.h"

namespace tl::cpu {
namespace {

// Elements a task sums: some microseconds of work.
constexpr int64_t kGrain = 8 * 1024;
// Elements of a row, or lanes side by side, that are summed at once: they and
// their sums stay in the first-level cache.
constexpr int64_t kWidth = 512;

// Loads and stores up to kWidth elements as what they are summed in.
struct SumOfHalves {
  using Element = uint16_t;
  using Sum = float;
  static void Load(const uint16_t* from, float* to, int64_t count) {
    HalvesToFloats(from, to, count);
  }
  static void Store(const float* from, uint16_t* to, int64_t count) {
    FloatsToHalves(from, to, count);
  }
};
template <class T, class S>
struct SumOf {
  using Element = T;
  using Sum = S;
  static void Load(const T* from, S* to, int64_t count) {
    std::copy_n(from, count, to);
  }
  static void Store(const S* from, T* to, int64_t count) {
    std::copy_n(from, count, to);
  }
};

// One lane whose elements lie side by side.
template <class Type>
void ScanRow(const typename Type::Element* from, typename Type::Element* to,
             int64_t count) {
  typename Type::Sum piece[kWidth];
  typename Type::Sum sum = 0;
  for (int64_t first = 0; first < count; first += kWidth) {
    const int64_t width = std::min(kWidth, count - first);
    Type::Load(from + first, piece, width);
    for (int64_t i = 0; i < width; ++i) piece[i] = sum += piece[i];
    Type::Store(piece, to + first, width);
  }
}

// `width` lanes side by side, `stride` elements from one step to the next.
template <class Type>
void ScanColumns(const typename Type::Element* from, typename Type::Element* to,
                 int64_t count, int64_t stride, int64_t width) {
  typename Type::Sum row[kWidth];
  typename Type::Sum sums[kWidth] = {};
  for (int64_t i = 0; i < count; ++i) {
    Type::Load(from + i * stride, row, width);
    for (int64_t lane = 0; lane < width; ++lane) sums[lane] += row[lane];
    Type::Store(sums, to + i * stride, width);
  }
}

template <class Type>
void Scan(const View& x, const View& result, int axis) {
  if (x.size() == 0) return;
  const auto* from = x.as<typename Type::Element>();
  auto* to = result.as<typename Type::Element>();
  const int64_t count = x.dims[axis];
  int64_t inner = 1;
  for (int i = axis + 1; i < x.rank; ++i) inner *= x.dims[i];
  const int64_t outer = x.size() / (count * inner);
  const int64_t strips = (inner + kWidth - 1) / kWidth;
  const int64_t strip_size = count * std::min(inner, kWidth);
  const int64_t grain = std::max<int64_t>(1, kGrain / strip_size);
  ParallelFor(outer * strips, grain, [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) {
      const int64_t lane = strip % strips * kWidth;
      const int64_t start = strip / strips * count * inner + lane;
      if (inner == 1) {
        ScanRow<Type>(from + start, to + start, count);
      } else {
        ScanColumns<Type>(from + start, to + start, count, inner,
                          std::min(kWidth, inner - lane));
      }
    }
  });
}

}  // namespace

void Cumsum(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& result = args.outputs[0];
  const auto axis = static_cast<int>(args.ints[0]);
  TL_CHECK(x.dtype == result.dtype);
  if (x.dtype == DType::F16) return Scan<SumOfHalves>(x, result, axis);
  if (x.dtype == DType::F32) return Scan<SumOf<float, float>>(x, result, axis);
  TL_CHECK(x.dtype == DType::I32);
  Scan<SumOf<int32_t, uint32_t>>(x, result, axis);
}

}  // namespace tl::cpu
