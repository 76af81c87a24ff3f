#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

enum Style : int64_t { kPairs, kHalves };

std::vector<double> Reference(const TestArray& x, const TestArray& cos,
                              const TestArray& sin, Style style) {
  const size_t rank = x.dims.size();
  const int64_t dim = x.dims[rank - 1], half = dim / 2;
  const int64_t heads = x.dims[rank - 2], seq = x.dims[rank - 3];
  std::vector<double> result = x.Values();
  for (int64_t row = 0; row < std::ssize(result) / std::max<int64_t>(dim, 1);
       ++row) {
    for (int64_t i = 0; i < half; ++i) {
      const int64_t a = row * dim + (style == kPairs ? 2 * i : i);
      const int64_t b = style == kPairs ? a + 1 : a + half;
      const double c = cos.Get(row / heads % seq * half + i);
      const double s = sin.Get(row / heads % seq * half + i);
      const double x_a = x.Get(a), x_b = x.Get(b);
      result[a] = x_a * c - x_b * s;
      result[b] = x_b * c + x_a * s;
    }
  }
  return result;
}

TEST(RopeTest, TurnsPairsAndHalves) {
  ForEachTarget([] {
    for (const Dims& dims : {Dims{1, 1, 2},
                             {3, 2, 6},
                             {5, 3, 34},
                             {4, 2, 64},
                             {2, 3, 2, 66},
                             {2, 1, 2, 4, 130},
                             {0, 2, 4},
                             {2, 0, 4},
                             {2, 2, 0}}) {
      const size_t rank = dims.size();
      const Dims table = {dims[rank - 3], dims[rank - 1] / 2};
      // Small sines beside positive numbers: neither sum cancels.
      const TestArray cos = RandomArray(DType::F32, table, 1, 0.5, 1);
      const TestArray sin = RandomArray(DType::F32, table, 2, -0.2, 0.2);
      for (Style style : {kPairs, kHalves}) {
        for (DType dtype : {DType::F16, DType::F32}) {
          const TestArray x = RandomArray(dtype, dims, 3, 1, 2);
          const TestArray result = Poisoned(dtype, dims);
          Call(Rope, {x, cos, sin}, {result}, {style});
          ExpectClose(result, Reference(x, cos, sin, style),
                      dtype == DType::F16 ? 1 : 16);
        }
      }
    }
  });
}

TEST(RopeTest, TurnsInPlace) {
  const TestArray cos = RandomArray(DType::F32, {3, 17}, 1, 0.5, 1);
  const TestArray sin = RandomArray(DType::F32, {3, 17}, 2, -0.2, 0.2);
  for (Style style : {kPairs, kHalves}) {
    const TestArray x = RandomArray(DType::F16, {3, 2, 34}, 3, 1, 2);
    const std::vector<double> expected = Reference(x, cos, sin, style);
    Call(Rope, {x, cos, sin}, {x}, {style});
    ExpectClose(x, expected, 1);
  }
}

TEST(RopeTest, GivesTheSameBitsOnAnyThreadsAndTargets) {
  const TestArray x = RandomArray(DType::F32, {50, 8, 66}, 1);
  const TestArray cos = RandomArray(DType::F32, {50, 33}, 2);
  const TestArray sin = RandomArray(DType::F32, {50, 33}, 3);
  const TestArray result = Poisoned(DType::F32, x.dims);
  const TestArray first = Poisoned(DType::F32, x.dims);
  for (Style style : {kPairs, kHalves}) {
    Call(Rope, {x, cos, sin}, {first}, {style});
    ForEachTarget([&] {
      ExpectSameBitsOnAnyThreads(result, [&] {
        Call(Rope, {x, cos, sin}, {result}, {style});
      });
      EXPECT_EQ(0, std::memcmp(first.block.get(), result.block.get(),
                               result.block_bytes));
    });
  }
}

}  // namespace
}  // namespace tl::TL_KERNELS
