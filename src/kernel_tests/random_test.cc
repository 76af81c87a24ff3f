#include "base/random.h"

#include "base/error.h"
#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

// Element i is lane i % 4 of the block of counter i / 4.
TEST(RandTest, DrawsElementAfterElementOfTheCounter) {
  ForEachTarget([] {
    for (int64_t n : {0, 1, 3, 4, 5, 1023, 1025, 40001}) {
      std::vector<double> uniform, half, normal;
      for (int64_t i = 0; i < n; ++i) {
        const PhiloxCounter words = PhiloxBlock(i / 4, {7, 9});
        uniform.push_back(UniformFloat(words[i % 4]));
        half.push_back(UniformHalf(words[i % 4]));
        const int64_t first = i % 4 / 2 * 2;
        normal.push_back(NormalPair(words[first], words[first + 1])[i % 2]);
      }
      const TestArray f16 = Poisoned(DType::F16, {n});
      const TestArray f32 = Poisoned(DType::F32, {n});
      const std::vector<int64_t> ints = {0, n};
      Call(Rand, {}, {f32}, ints, {7, 9});
      ExpectClose(f32, uniform, 0);
      Call(Rand, {}, {f16}, ints, {7, 9});
      ExpectClose(f16, half, 0);
      Call(Randn, {}, {f32}, ints, {7, 9});
      ExpectClose(f32, normal, 0);
      Call(Randn, {}, {f16}, ints, {7, 9});
      ExpectClose(f16, normal, 0);
    }
  });
}

TEST(RandTest, GivesTheSameBitsOnAnyThreads) {
  for (DType dtype : {DType::F16, DType::F32}) {
    const TestArray result = Poisoned(dtype, {3, 33333});
    ExpectSameBitsOnAnyThreads(result, [&] {
      Call(Randn, {}, {result}, {0, 3, 33333}, {1, 2});
    });
  }
}

TEST(RandTest, UsesAllOfTheSeed) {
  const TestArray a = Poisoned(DType::F32, {8}), b = Poisoned(DType::F32, {8});
  for (const std::vector<double>& seed :
       {std::vector<double>{4294967295, 0}, {0, 4294967295}, {0, 0}}) {
    Call(Rand, {}, {a}, {0, 8}, seed);
    EXPECT_NE(a.Values(), b.Values());
    Call(Rand, {}, {b}, {0, 8}, seed);
    EXPECT_EQ(a.Values(), b.Values());
  }
}

// Mean and variance within five standard errors of a million draws.
TEST(RandTest, HasTheMomentsOfItsDistribution) {
  constexpr int64_t kCount = 1 << 20;
  const TestArray x = Poisoned(DType::F32, {kCount});
  const auto expect = [&](double mean, double variance, double fourth) {
    double sum = 0, squares = 0;
    for (double value : x.Values()) {
      sum += value - mean;
      squares += (value - mean) * (value - mean);
    }
    EXPECT_NEAR(sum / kCount, 0, 5 * std::sqrt(variance / kCount));
    EXPECT_NEAR(squares / kCount, variance,
                5 * std::sqrt((fourth - variance * variance) / kCount));
  };
  Call(Rand, {}, {x}, {0, kCount}, {1, 0});
  expect(0.5, 1 / 12.0, 1 / 80.0);
  Call(Randn, {}, {x}, {0, kCount}, {1, 0});
  expect(0, 1, 3);
}

TEST(ArangeTest, RoundsEachElementOnce) {
  for (int64_t n : {0, 1, 17, 20000}) {
    std::vector<double> expected;
    for (int64_t i = 0; i < n; ++i) {
      expected.push_back(-3 + 0.1 * static_cast<double>(i));
    }
    for (DType dtype : {DType::F16, DType::F32}) {
      const TestArray result = Poisoned(dtype, {n});
      Call(Arange, {}, {result}, {n, 0}, {-3, 0.1});
      ExpectClose(result, expected, 0);
    }
  }
}

TEST(ArangeTest, CountsIntegersExactly) {
  const TestArray result = Poisoned(DType::I32, {4});
  Call(Arange, {}, {result}, {4, 0}, {2147483641, 2});
  ExpectClose(result, {2147483641, 2147483643, 2147483645, 2147483647}, 0);
  Call(Arange, {}, {result}, {4, 0}, {-2147483648, -0.0});
  ExpectClose(result, std::vector<double>(4, -2147483648.0), 0);
  Call(Arange, {}, {Poisoned(DType::I32, {0})}, {0, 0}, {1e300, 1});
}

TEST(ArangeTest, RefusesIntegersBeyondInt32) {
  const TestArray result = Poisoned(DType::I32, {3});
  const auto text = [&](double start, double step) {
    try {
      Call(Arange, {}, {result}, {3, 0}, {start, step});
    } catch (const Error& error) {
      return error.text();
    }
    return std::string("no error");
  };
  EXPECT_EQ(text(2147483646, 1),
            "arange reaches 2147483648, which int32 cannot hold");
  EXPECT_EQ(text(-3000000000, 1),
            "arange reaches -3000000000, which int32 cannot hold");
  EXPECT_EQ(text(std::nan(""), 1),
            "arange reaches nan, which int32 cannot hold");
}

}  // namespace
}  // namespace tl::TL_KERNELS
