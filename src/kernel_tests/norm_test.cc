#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

struct Affine {
  std::vector<double> weight;  // empty: ones
  std::vector<double> bias;    // empty: zeros
};

// Rows of `row` elements, around their mean or around 0.
std::vector<double> Reference(const std::vector<double>& x, int64_t row,
                              double eps, bool around_mean,
                              const Affine& affine) {
  std::vector<double> y(x.size());
  for (size_t first = 0; first < x.size(); first += row) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; around_mean && i < row; ++i) mean += x[first + i] / row;
    for (int64_t i = 0; i < row; ++i) {
      squares += (x[first + i] - mean) * (x[first + i] - mean);
    }
    for (int64_t i = 0; i < row; ++i) {
      double v = (x[first + i] - mean) / std::sqrt(squares / row + eps);
      if (!affine.weight.empty()) v *= affine.weight[i];
      if (!affine.bias.empty()) v += affine.bias[i];
      y[first + i] = v;
    }
  }
  return y;
}

const int64_t kRows[] = {1, 5, 16, 17, 64, 1023, 1025, 4096};

// Near zero the sum of a product and a bias cancels: a step of f32 there is
// measured against 1.
void ExpectNorm(const TestArray& got, std::vector<double> want) {
  for (size_t i = 0; i < want.size(); ++i) {
    if (got.dtype == DType::F32 && std::abs(got.Get(i) - want[i]) < 0x1p-20) {
      want[i] = got.Get(i);
    }
    if (got.dtype == DType::F16 && std::abs(got.Get(i) - want[i]) < 0x1p-22) {
      want[i] = got.Get(i);
    }
  }
  ExpectClose(got, want, 2);
}

TEST(RmsNorm, MatchesTheReference) {
  ForEachTarget([] {
    for (int64_t row : kRows) {
      for (DType dtype : {DType::F16, DType::F32}) {
        const TestArray x = RandomArray(dtype, {3, row}, 1, -3, 3);
        const TestArray weight = RandomArray(dtype, {row}, 2, 0.5, 1.5);
        const TestArray y = Poisoned(dtype, {3, row});
        Call(RmsNorm, {x, weight}, {y}, {}, {1e-6});
        ExpectNorm(
            y, Reference(x.Values(), row, 1e-6, false, {weight.Values(), {}}));
      }
    }
  });
}

TEST(LayerNorm, MatchesTheReferenceWithAndWithoutWeightAndBias) {
  ForEachTarget([] {
    for (int64_t row : kRows) {
      for (DType dtype : {DType::F16, DType::F32}) {
        const TestArray x = RandomArray(dtype, {3, row}, 1, -1, 5);
        const TestArray weight = RandomArray(dtype, {row}, 2, 0.5, 1.5);
        const TestArray bias = RandomArray(dtype, {row}, 3);
        const TestArray y = Poisoned(dtype, {3, row});
        const auto want = [&](const Affine& affine) {
          return Reference(x.Values(), row, 1e-5, true, affine);
        };
        Call(LayerNorm, {x}, {y}, {1, 0}, {1e-5});
        ExpectNorm(y, want({}));
        Call(LayerNorm, {x, weight}, {y}, {1, 1}, {1e-5});
        ExpectNorm(y, want({weight.Values(), {}}));
        Call(LayerNorm, {x, bias}, {y}, {1, 2}, {1e-5});
        ExpectNorm(y, want({{}, bias.Values()}));
        Call(LayerNorm, {x, weight, bias}, {y}, {1, 3}, {1e-5});
        ExpectNorm(y, want({weight.Values(), bias.Values()}));
      }
    }
  });
}

TEST(LayerNorm, RunsOverSeveralAxes) {
  const TestArray x = RandomArray(DType::F16, {2, 3, 5, 7}, 1);
  const TestArray weight = RandomArray(DType::F32, {5, 7}, 2);
  const TestArray y = Poisoned(DType::F32, {2, 3, 5, 7});
  ForEachTarget([&] {
    Call(LayerNorm, {x, weight}, {y}, {2, 1}, {1e-5});
    ExpectNorm(y, Reference(x.Values(), 35, 1e-5, true, {weight.Values(), {}}));
  });
}

TEST(Norms, OfManyShortRowsMatchTheReference) {
  ForEachTarget([] {
    for (const Dims& dims : {Dims{601, 128}, Dims{777, 5}, Dims{514, 264}}) {
      const TestArray x = RandomArray(DType::F16, dims, 1, -1, 5);
      const TestArray weight = RandomArray(DType::F16, {dims[1]}, 2, 0.5, 1);
      const TestArray y = Poisoned(DType::F16, dims);
      Call(LayerNorm, {x, weight}, {y}, {1, 1}, {1e-5});
      ExpectNorm(
          y, Reference(x.Values(), dims[1], 1e-5, true, {weight.Values(), {}}));
      Call(RmsNorm, {x, weight}, {y}, {}, {1e-5});
      ExpectNorm(y, Reference(x.Values(), dims[1], 1e-5, false,
                              {weight.Values(), {}}));
    }
  });
}

// Rows that are cut.
TEST(Norms, OfLongRowsMatchTheReference) {
  ForEachTarget([] {
    for (const Dims& dims : {Dims{2, 40000}, Dims{1, 70001}}) {
      for (DType dtype : {DType::F16, DType::F32}) {
        const TestArray x = RandomArray(dtype, dims, 1, -1, 5);
        const TestArray weight = RandomArray(DType::F32, {dims[1]}, 2, 0.5, 1);
        const TestArray y = Poisoned(dtype, dims);
        Call(LayerNorm, {x, weight}, {y}, {1, 1}, {1e-5});
        ExpectNorm(y, Reference(x.Values(), dims[1], 1e-5, true,
                                {weight.Values(), {}}));
        Call(RmsNorm, {x, weight}, {y}, {}, {1e-5});
        ExpectNorm(y, Reference(x.Values(), dims[1], 1e-5, false,
                                {weight.Values(), {}}));
      }
    }
  });
}

// The first elements say nothing about the others.
TEST(LayerNorm, KeepsItsPrecisionWhereARowBeginsFarFromItsMean) {
  ForEachTarget([] {
    TestArray x = RandomArray(DType::F32, {2, 4096}, 1, -0.01, 0.01);
    for (int64_t i = 0; i < 16; ++i) x.Set(i, 1);
    for (int64_t i = 0; i < 4096; ++i) x.Set(4096 + i, 1000 + i % 2);
    const TestArray y = Poisoned(DType::F32, {2, 4096});
    Call(LayerNorm, {x}, {y}, {1, 0}, {1e-5});
    const std::vector<double> want =
        Reference(x.Values(), 4096, 1e-5, true, {});
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_NEAR(y.Get(i), want[i], 1e-4) << i;
    }
  });
}

TEST(LayerNorm, TakesInt32AndNoRows) {
  const TestArray x = RandomArray(DType::I32, {2, 20}, 1, -50, 50);
  const TestArray y = Poisoned(DType::F32, {2, 20});
  Call(LayerNorm, {x}, {y}, {1, 0}, {1e-5});
  ExpectNorm(y, Reference(x.Values(), 20, 1e-5, true, {}));
  const TestArray none = Poisoned(DType::F16, {0, 8});
  Call(LayerNorm, {none}, {Poisoned(DType::F16, {0, 8})}, {1, 0}, {1e-5});
}

TEST(Norms, GiveTheSameBitsOnAnyNumberOfThreads) {
  const TestArray x = RandomArray(DType::F16, {2500, 4001}, 1);
  const TestArray weight = RandomArray(DType::F16, {4001}, 2);
  const TestArray y = Poisoned(DType::F16, {2500, 4001});
  ExpectSameBitsOnAnyThreads(y, [&] {
    Call(RmsNorm, {x, weight}, {y}, {}, {1e-6});
  });
  ExpectSameBitsOnAnyThreads(y, [&] {
    Call(LayerNorm, {x, weight}, {y}, {1, 1}, {1e-6});
  });
}

}  // namespace
}  // namespace tl::TL_KERNELS
