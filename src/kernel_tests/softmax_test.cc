#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> Reference(const std::vector<double>& x, int64_t row,
                              bool log) {
  std::vector<double> y(x.size());
  for (size_t first = 0; first < x.size(); first += row) {
    const double top =
        *std::max_element(x.begin() + first, x.begin() + first + row);
    double sum = 0;
    for (int64_t i = 0; i < row; ++i) sum += std::exp(x[first + i] - top);
    for (int64_t i = 0; i < row; ++i) {
      const double apart = x[first + i] - top;
      y[first + i] = log ? apart - std::log(sum) : std::exp(apart) / sum;
    }
  }
  return y;
}

TEST(Softmax, MatchesTheReference) {
  ForEachTarget([] {
    for (int64_t row : {1, 5, 16, 17, 33, 1024, 1025, 5000}) {
      for (DType dtype : {DType::F16, DType::F32}) {
        for (double range : {1.0, 20.0}) {
          const TestArray x = RandomArray(dtype, {3, row}, 1, -range, range);
          const TestArray y = Poisoned(dtype, {3, row});
          // f32 holds x - max to half a step of up to 40, which the
          // exponential turns into as much of the result.
          const double steps = dtype == DType::F16 ? 2 : 48;
          Call(Softmax, {x}, {y});
          ExpectClose(y, Reference(x.Values(), row, false), steps);
          Call(LogSoftmax, {x}, {y});
          ExpectClose(y, Reference(x.Values(), row, true), steps);
        }
      }
    }
  });
}

TEST(Softmax, OfManyShortRowsMatchesTheReference) {
  ForEachTarget([] {
    for (const Dims& dims : {Dims{601, 128}, Dims{777, 5}, Dims{514, 264}}) {
      const TestArray x = RandomArray(DType::F16, dims, 1, -9, 9);
      const TestArray y = Poisoned(DType::F32, dims);
      Call(Softmax, {x}, {y});
      ExpectClose(y, Reference(x.Values(), dims[1], false), 48);
    }
  });
}

// Rows that are cut, few and many of them.
TEST(Softmax, OfLongRowsMatchesTheReference) {
  ForEachTarget([] {
    for (const Dims& dims : {Dims{2, 40000}, Dims{3, 70001}, Dims{66, 33000}}) {
      for (DType dtype : {DType::F16, DType::F32}) {
        const TestArray x = RandomArray(dtype, dims, 1, -9, 9);
        x.Set(dims[1] + 7, -kInf);
        const TestArray y = Poisoned(dtype, dims);
        const double steps = dtype == DType::F16 ? 2 : 48;
        Call(Softmax, {x}, {y});
        ExpectClose(y, Reference(x.Values(), dims[1], false), steps);
        Call(LogSoftmax, {x}, {y});
        ExpectClose(y, Reference(x.Values(), dims[1], true), steps);
      }
    }
    const TestArray hidden =
        ArrayOf(DType::F32, {1, 50000}, std::vector<double>(50000, -kInf));
    const TestArray y = Poisoned(DType::F32, {1, 50000});
    Call(Softmax, {hidden}, {y});
    EXPECT_TRUE(std::isnan(y.Get(49999)));
  });
}

TEST(Softmax, SurvivesLargeAndMaskedElements) {
  ForEachTarget([] {
    const std::vector<double> values = {60000, -kInf, 60000, -60000, 59999.5};
    const TestArray x = ArrayOf(DType::F32, {1, 5}, values);
    const TestArray y = Poisoned(DType::F32, {1, 5});
    Call(Softmax, {x}, {y});
    ExpectClose(y, Reference(values, 5, false), 8);
    EXPECT_EQ(y.Get(1), 0);
    Call(LogSoftmax, {x}, {y});
    ExpectClose(y, Reference(values, 5, true), 8);
    EXPECT_EQ(y.Get(1), -kInf);
  });
}

TEST(Softmax, OfARowWithoutFiniteElementsIsNaN) {
  ForEachTarget([] {
    for (const std::vector<double>& values :
         {std::vector<double>{-kInf, -kInf, -kInf},
          {1, kNaN, 2},
          {kInf, 0, 1}}) {
      const TestArray x = ArrayOf(DType::F16, {1, 3}, values);
      const TestArray y = Poisoned(DType::F16, {1, 3});
      Call(Softmax, {x}, {y});
      EXPECT_TRUE(std::isnan(y.Get(0)));
    }
  });
}

TEST(Softmax, WidensHalvesAndInt32) {
  ForEachTarget([] {
    for (DType from : {DType::F16, DType::I32}) {
      const TestArray x = RandomArray(from, {2, 37}, 1, -5, 5);
      const TestArray y = Poisoned(DType::F32, {2, 37});
      Call(Softmax, {x}, {y});
      ExpectClose(y, Reference(x.Values(), 37, false), 8);
    }
    const TestArray none = Poisoned(DType::F16, {0, 5});
    Call(Softmax, {none}, {Poisoned(DType::F16, {0, 5})});
  });
}

TEST(Softmax, GivesTheSameBitsOnAnyNumberOfThreads) {
  const TestArray x = RandomArray(DType::F16, {2500, 4001}, 1);
  const TestArray y = Poisoned(DType::F16, {2500, 4001});
  ExpectSameBitsOnAnyThreads(y, [&] { Call(Softmax, {x}, {y}); });
}

}  // namespace
}  // namespace tl::TL_KERNELS
