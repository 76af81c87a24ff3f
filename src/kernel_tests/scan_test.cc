#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

void SumAndExpect(const TestArray& x, int axis, double steps) {
  const int64_t count = x.dims[axis];
  const int64_t inner =
      ElementCount(Dims(x.dims.begin() + axis + 1, x.dims.end()));
  std::vector<double> expected = x.Values();
  for (int64_t i = 0; i < std::ssize(expected); ++i) {
    if (i / inner % count != 0) expected[i] += expected[i - inner];
  }
  const TestArray result = Poisoned(x.dtype, x.dims);
  Call(Cumsum, {x}, {result}, {axis});
  ExpectClose(result, expected, steps);
}

TEST(CumsumTest, SumsAlongEveryAxis) {
  ForEachTarget([] {
    for (const Dims& dims : {Dims{0},
                             {1},
                             {17},
                             {513},
                             {1025},
                             {0, 3},
                             {3, 0},
                             {5, 7},
                             {3, 1, 33},
                             {2, 3, 515},
                             {40, 513}}) {
      for (int axis = 0; axis < std::ssize(dims); ++axis) {
        // Positive, so that sums lose no digits to cancellation.
        SumAndExpect(RandomArray(DType::F16, dims, 1, 0.5, 1), axis, 1);
        SumAndExpect(RandomArray(DType::F32, dims, 1, 0.5, 1), axis, 64);
        SumAndExpect(RandomArray(DType::I32, dims, 1, -99999, 99999), axis, 0);
      }
    }
  });
}

TEST(CumsumTest, SumsALongLane) {
  ForEachTarget([] {
    SumAndExpect(RandomArray(DType::F32, {2, 40001}, 1, 0.5, 1), 1, 512);
    SumAndExpect(RandomArray(DType::I32, {40001, 3}, 1, -99999, 99999), 0, 0);
  });
}

TEST(CumsumTest, KeepsItsSumInFloat32) {
  // In f16 2048 + 1 is 2048; and what overflowed in one element comes back.
  const TestArray x = ArrayOf(DType::F16, {5}, {2048, 1, 1, 65000, -65000});
  const TestArray result = Poisoned(DType::F16, {5});
  Call(Cumsum, {x}, {result}, {0});
  ExpectClose(result, {2048, 2049, 2050, 67050, 2050}, 0);
  EXPECT_EQ(result.Get(3), std::numeric_limits<double>::infinity());
}

TEST(CumsumTest, WrapsIntegers) {
  const TestArray x = ArrayOf(DType::I32, {2}, {2147483647, 2});
  const TestArray result = Poisoned(DType::I32, {2});
  Call(Cumsum, {x}, {result}, {0});
  ExpectClose(result, {2147483647, -2147483647}, 0);
}

TEST(CumsumTest, CarriesNaNAlongItsLaneOnly) {
  const double nan = std::nan("");
  const TestArray x = ArrayOf(DType::F32, {3, 2}, {1, 2, nan, 3, 4, 5});
  const TestArray result = Poisoned(DType::F32, {3, 2});
  Call(Cumsum, {x}, {result}, {0});
  ExpectClose(result, {1, 2, nan, 5, nan, 10}, 0);
}

TEST(CumsumTest, GivesTheSameBitsOnAnyThreads) {
  for (const Dims& dims : {Dims{300, 513}, {40, 30000}}) {
    for (int axis : {0, 1}) {
      const TestArray x = RandomArray(DType::F32, dims, 1);
      const TestArray result = Poisoned(DType::F32, dims);
      ExpectSameBitsOnAnyThreads(result,
                                 [&] { Call(Cumsum, {x}, {result}, {axis}); });
    }
  }
}

}  // namespace
}  // namespace tl::TL_KERNELS
