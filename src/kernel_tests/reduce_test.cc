#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Of the elements of one result.
using Naive = double (*)(const std::vector<double>& x);

double NaiveSum(const std::vector<double>& x) {
  double sum = 0;
  for (double v : x) sum += v;
  return sum;
}
double NaiveMean(const std::vector<double>& x) {
  return NaiveSum(x) / static_cast<double>(x.size());
}
double NaiveProd(const std::vector<double>& x) {
  double product = 1;
  for (double v : x) product *= v;
  return product;
}
double NaiveMax(const std::vector<double>& x) {
  double best = -kInf;
  for (double v : x) best = std::isnan(v) || v > best ? v : best;
  return best;
}
double NaiveMin(const std::vector<double>& x) {
  double best = kInf;
  for (double v : x) best = std::isnan(v) || v < best ? v : best;
  return best;
}
double NaiveSumSquares(const std::vector<double>& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return sum;
}
double NaiveNorm(const std::vector<double>& x) {
  return std::sqrt(NaiveSumSquares(x));
}
double NaiveVar(const std::vector<double>& x) {
  const double mean = NaiveMean(x);
  double sum = 0;
  for (double v : x) sum += (v - mean) * (v - mean);
  return sum / std::max(0.0, static_cast<double>(x.size()) - 1);
}
double NaiveArgmax(const std::vector<double>& x) {
  size_t best = 0;
  for (size_t i = 1; i < x.size(); ++i) {
    if (std::isnan(x[best])) break;
    if (std::isnan(x[i]) || x[i] > x[best]) best = i;
  }
  return static_cast<double>(best);
}
double NaiveArgmin(const std::vector<double>& x) {
  std::vector<double> negated;
  for (double v : x) negated.push_back(-v);
  return NaiveArgmax(negated);
}

struct Row {
  const char* name;
  Kernel kernel;
  Naive naive;
  bool int_result;     // of float input
  bool takes_nothing;  // has a value over no elements
};

const Row kRows[] = {
    {"sum", Sum, NaiveSum, false, true},
    {"mean", Mean, NaiveMean, false, true},
    {"prod", Prod, NaiveProd, false, true},
    {"max", Max, NaiveMax, false, false},
    {"min", Min, NaiveMin, false, false},
    {"sum_squares", SumSquares, NaiveSumSquares, false, true},
    {"norm", Norm, NaiveNorm, false, true},
    {"var", Var, NaiveVar, false, true},
    {"argmax", Argmax, NaiveArgmax, true, false},
    {"argmin", Argmin, NaiveArgmin, true, false},
};

class Reduction : public testing::TestWithParam<Row> {};
INSTANTIATE_TEST_SUITE_P(Kernels, Reduction, testing::ValuesIn(kRows),
                         [](const auto& info) { return info.param.name; });

// [outer, reduced, inner] to [outer, inner].
std::vector<double> Reference(const TestArray& x, const Dims& dims,
                              Naive naive) {
  const std::vector<double> values = x.Values();
  std::vector<double> results;
  for (int64_t o = 0; o < dims[0]; ++o) {
    for (int64_t i = 0; i < dims[2]; ++i) {
      std::vector<double> elements;
      for (int64_t r = 0; r < dims[1]; ++r) {
        elements.push_back(values[(o * dims[1] + r) * dims[2] + i]);
      }
      results.push_back(naive(elements));
    }
  }
  return results;
}

TestArray Reduce(const Row& row, const TestArray& x, DType result) {
  const TestArray y = Poisoned(result, {x.dims[0], x.dims[2]});
  Call(row.kernel, {x}, {y}, {1, 1}, {1});
  return y;
}

TEST_P(Reduction, MatchesTheReferenceOnAwkwardShapes) {
  const Row& row = GetParam();
  ForEachTarget([&] {
    for (const Dims& dims :
         {Dims{1, 1, 1}, Dims{1, 7, 1}, Dims{3, 16, 1}, Dims{2, 17, 1},
          Dims{5, 64, 1}, Dims{2, 65, 1}, Dims{1, 5000, 1}, Dims{0, 4, 1},
          Dims{3, 1, 5}, Dims{2, 9, 16}, Dims{3, 4, 17}, Dims{1, 300, 33},
          Dims{2, 3, 1030}, Dims{2, 3, 0}}) {
      for (DType dtype : {DType::F16, DType::F32}) {
        // All near 1 for products, with a few repeated values for argmax.
        const TestArray x = RandomArray(dtype, dims, 1, 0.97, 1.03);
        const std::vector<double> want = Reference(x, dims, row.naive);
        const DType result = row.int_result ? DType::I32 : dtype;
        ExpectClose(Reduce(row, x, result), want, dtype == DType::F16 ? 2 : 8);
      }
    }
  });
}

TEST_P(Reduction, ConvertsInt32) {
  const Row& row = GetParam();
  ForEachTarget([&] {
    for (const Dims& dims : {Dims{2, 37, 1}, Dims{2, 6, 21}}) {
      const TestArray x = RandomArray(DType::I32, dims, 2, -9, 9);
      const std::vector<double> want = Reference(x, dims, row.naive);
      const DType result = row.int_result ? DType::I32 : DType::F32;
      ExpectClose(Reduce(row, x, result), want, 8);
    }
  });
}

TEST_P(Reduction, OfNoElementsIsTheNeutralOne) {
  const Row& row = GetParam();
  if (!row.takes_nothing) return;
  ForEachTarget([&] {
    for (int64_t inner : {1, 3}) {
      const TestArray x = Poisoned(DType::F16, {2, 0, inner});
      ExpectClose(Reduce(row, x, DType::F16),
                  std::vector<double>(2 * inner, row.naive({})), 0);
    }
  });
}

TEST_P(Reduction, PassesNaNAndInfinityOn) {
  const Row& row = GetParam();
  ForEachTarget([&] {
    for (int64_t inner : {1, 3}) {
      const Dims dims = {1, 70, inner};
      for (int64_t at : {0, 5, 40, 69}) {
        for (double special : {kNaN, kInf, -kInf}) {
          const TestArray x = RandomArray(DType::F16, dims, 3, 0.5, 1.5);
          for (int64_t i = 0; i < inner; ++i) x.Set(at * inner + i, special);
          const std::vector<double> want = Reference(x, dims, row.naive);
          const DType result = row.int_result ? DType::I32 : DType::F16;
          ExpectClose(Reduce(row, x, result), want, 2);
        }
      }
    }
  });
}

// Rows longer than a unit of work, many rows, and long columns.
TEST_P(Reduction, GivesTheSameBitsOnAnyNumberOfThreads) {
  const Row& row = GetParam();
  for (const Dims& dims : {Dims{1, 200003, 1}, Dims{3, 70000, 1},
                           Dims{5000, 20, 1}, Dims{1, 9000, 40}}) {
    const TestArray x = RandomArray(DType::F16, dims, 4, 0.999, 1.002);
    const DType result = row.int_result ? DType::I32 : DType::F32;
    const TestArray y = Poisoned(result, {dims[0], dims[2]});
    ExpectSameBitsOnAnyThreads(y, [&] {
      Call(row.kernel, {x}, {y}, {1, 1}, {1});
    });
    ExpectClose(y, Reference(x, dims, row.naive), 64);
  }
}

TEST(Reductions, OfInt32ToInt32AreExactAndWrap) {
  for (const Dims& dims : {Dims{2, 90000, 1}, Dims{2, 3000, 11}}) {
    const TestArray x = RandomArray(DType::I32, dims, 5, -2e9, 2e9);
    const std::vector<double> sums = Reference(x, dims, [](const auto& v) {
      uint32_t sum = 0;
      for (double e : v) sum += static_cast<uint32_t>(static_cast<int32_t>(e));
      return static_cast<double>(static_cast<int32_t>(sum));
    });
    const TestArray y = Poisoned(DType::I32, {dims[0], dims[2]});
    Call(Sum, {x}, {y}, {1, 1});
    ExpectClose(y, sums, 0);
    Call(Max, {x}, {y}, {1, 1});
    ExpectClose(y, Reference(x, dims, NaiveMax), 0);
    Call(Min, {x}, {y}, {1, 1});
    ExpectClose(y, Reference(x, dims, NaiveMin), 0);
    Call(Argmax, {x}, {y}, {1, 1});
    ExpectClose(y, Reference(x, dims, NaiveArgmax), 0);
  }
  const TestArray x = ArrayOf(DType::I32, {1, 4, 1}, {65537, 65537, 3, -1});
  const TestArray y = Poisoned(DType::I32, {1, 1});
  Call(Prod, {x}, {y}, {1, 1});
  EXPECT_EQ(y.Get(0), -393219);  // 65537^2 wraps to 131073
  Call(SumSquares, {x}, {y}, {1, 1});
  EXPECT_EQ(y.Get(0), 262156);
}

TEST(Reductions, RunOverSeveralAxes) {
  ForEachTarget([] {
    const TestArray x = RandomArray(DType::F16, {2, 3, 4, 5}, 6);
    const TestArray y = Poisoned(DType::F16, {2, 5});
    Call(Sum, {x}, {y}, {1, 2});
    TestArray flat = x;
    flat.dims = {2, 12, 5};
    flat.strides = {60, 5, 1};
    ExpectClose(y, Reference(flat, {2, 12, 5}, NaiveSum), 2);
    const TestArray all = Poisoned(DType::F32, {});
    Call(Sum, {x}, {all}, {0, 3});
    ExpectClose(all, {NaiveSum(x.Values())}, 16);
  });
}

TEST(Reductions, OfVarianceTakeTheCorrectionGiven) {
  const TestArray x = ArrayOf(DType::F32, {1, 4, 1}, {1, 2, 3, 4});
  const TestArray y = Poisoned(DType::F32, {1, 1});
  Call(Var, {x}, {y}, {1, 1}, {0});
  EXPECT_EQ(y.Get(0), 1.25);
  Call(Var, {x}, {y}, {1, 1}, {5});
  EXPECT_EQ(y.Get(0), kInf);
  const TestArray one = ArrayOf(DType::F32, {1, 1, 1}, {3});
  Call(Var, {one}, {y}, {1, 1}, {1});
  EXPECT_TRUE(std::isnan(y.Get(0)));
}

// A hundred million would be counted to 16,777,216 by adding one after the
// other in f32.
TEST(Reductions, DoNotStopCountingInF32) {
  const int64_t n = int64_t{40} << 20;
  const TestArray x = Poisoned(DType::F16, {n});
  std::fill_n(reinterpret_cast<uint16_t*>(x.block.get()), n, 0x3c00);
  const TestArray y = Poisoned(DType::F32, {});
  Call(Sum, {x}, {y}, {0, 0});
  EXPECT_EQ(y.Get(0), static_cast<double>(n));
}

TEST(Reductions, OfProductsMayLeaveTheRangeOfF32OnTheWay) {
  const TestArray x = ArrayOf(DType::F32, {4}, {1e30, 1e30, 1e-30, 1e-30});
  const TestArray y = Poisoned(DType::F32, {});
  Call(Prod, {x}, {y}, {0, 0});
  EXPECT_NEAR(y.Get(0), 1, 1e-6);
}

}  // namespace
}  // namespace tl::TL_KERNELS
