// Products with packed weights against double arithmetic on the decoded ones.
#include "kernel_tests/packed_test.h"
#include "tensor/decode.h"

namespace tl::TL_KERNELS {
namespace {

struct Case {
  TestArray x;
  TestArray w;  // [k, n], the transpose of what is stored
  std::vector<double> want;
  // Of each result: the sum of the magnitudes of its products.
  std::vector<double> size;
  // The same with the largest |x| of each 32 in place of x.
  std::vector<double> rounding;
};

std::vector<double> DecodedBlocks(DType dtype,
                                  const std::vector<std::byte>& bytes,
                                  int64_t count) {
  std::vector<double> values(count);
  Decode(dtype, bytes, values);
  return values;
}

Case MakeCase(DType dtype, DType x_dtype, int64_t m, int64_t k, int64_t n,
              uint32_t seed) {
  const auto stored = RandomBlocks(dtype, n * k, seed);
  const std::vector<double> w = DecodedBlocks(dtype, stored, n * k);
  Case c;
  c.x = RandomArray(x_dtype, {m, k}, seed + 1);
  c.w = Permuted(PackedArray(dtype, {n, k}, stored), {1, 0});
  const std::vector<double> x = c.x.Values();
  for (int64_t row = 0; row < m; ++row) {
    for (int64_t col = 0; col < n; ++col) {
      double sum = 0, size = 0, rounding = 0;
      for (int64_t g = 0; g < k; g += 32) {
        double top = 0, weights = 0;
        for (int64_t i = g; i < g + 32; ++i) {
          sum += x[row * k + i] * w[col * k + i];
          size += std::abs(x[row * k + i] * w[col * k + i]);
          top = std::max(top, std::abs(x[row * k + i]));
          weights += std::abs(w[col * k + i]);
        }
        rounding += top * weights;
      }
      c.want.push_back(sum);
      c.size.push_back(size);
      c.rounding.push_back(rounding);
    }
  }
  return c;
}

class PackedMatmulTest : public testing::TestWithParam<DType> {
 protected:
  // Shapes on both sides of every boundary: few and many rows, one and several
  // runs, whole and partial panels.
  template <class F>
  void ForEachShape(F f) {
    uint32_t seed = 1;
    for (int64_t m : {1, 2, 8, 9, 15}) {
      for (int64_t k : {1, 5}) {
        for (int64_t n : {1, 3, 33}) {
          SCOPED_TRACE(testing::Message()
                       << m << " x " << k << " blocks x " << n);
          f(MakeCase(GetParam(), DType::F16, m, k * 256, n, seed += 2));
          if (testing::Test::HasFatalFailure()) return;
        }
      }
    }
  }
};

TEST_P(PackedMatmulTest, ExactProductsRoundLikeFloat32) {
  ForEachShape([](const Case& c) {
    ForEachTarget([&] {
      const TestArray y = Poisoned(DType::F32, {c.x.dims[0], c.w.dims[1]});
      Call(Matmul, {c.x, c.w}, {y}, {int64_t(DType::F32), 1});
      for (size_t i = 0; i < c.want.size(); ++i) {
        ASSERT_NEAR(y.Get(i), c.want[i], c.size[i] * 1e-5) << "element " << i;
      }
    });
  });
}

TEST_P(PackedMatmulTest, Int8ProductsAreHalfAStepOfXOffAtMost) {
  ForEachShape([](const Case& c) {
    ForEachTarget([&] {
      const TestArray y = Poisoned(DType::F32, {c.x.dims[0], c.w.dims[1]});
      Call(Matmul, {c.x, c.w}, {y});
      for (size_t i = 0; i < c.want.size(); ++i) {
        const double bound = c.rounding[i] * (0.5 / 127) + c.size[i] * 1e-5;
        ASSERT_NEAR(y.Get(i), c.want[i], bound) << "element " << i;
      }
    });
  });
}

// Whole numbers up to 127 are what int8 holds: nothing is rounded but sums.
TEST_P(PackedMatmulTest, Int8ProductsOfWholeNumbersAreExact) {
  const int64_t k = 1280;
  for (int64_t m : {1, 3, 13}) {
    Case c = MakeCase(GetParam(), DType::F32, m, k, 35, 9);
    std::mt19937 random(5);
    for (int64_t i = 0; i < m * k; ++i) {
      c.x.Set(i, i % 32 == 0 ? 127 : static_cast<int>(random() % 255) - 127);
    }
    const std::vector<double> x = c.x.Values();
    const Case weights = MakeCase(GetParam(), DType::F32, m, k, 35, 9);
    ForEachTarget([&] {
      const TestArray exact = Poisoned(DType::F32, {m, 35});
      const TestArray y = Poisoned(DType::F32, {m, 35});
      Call(Matmul, {c.x, c.w}, {exact}, {int64_t(DType::F32), 1});
      Call(Matmul, {c.x, c.w}, {y});
      for (int64_t i = 0; i < m * 35; ++i) {
        ASSERT_NEAR(y.Get(i), exact.Get(i), weights.rounding[i] * 127 * 1e-6);
      }
    });
  }
}

TEST_P(PackedMatmulTest, ANumberThatIsNotFiniteReachesItsRowAndNoOther) {
  for (int64_t m : {2, 12}) {
    const Case c = MakeCase(GetParam(), DType::F16, m, 512, 5, 3);
    c.x.Set(512 + 77, std::numeric_limits<double>::infinity());
    ForEachTarget([&] {
      const TestArray y = Poisoned(DType::F16, {m, 5});
      Call(Matmul, {c.x, c.w}, {y});
      for (int64_t i = 0; i < m * 5; ++i) {
        EXPECT_EQ(std::isfinite(y.Get(i)), i / 5 != 1) << "element " << i;
      }
    });
  }
}

TEST_P(PackedMatmulTest, BitsDoNotDependOnThreads) {
  for (int64_t m : {1, 20}) {
    const Case c = MakeCase(GetParam(), DType::F16, m, 768, 700, 4);
    const TestArray y = Poisoned(DType::F16, {m, 700});
    ExpectSameBitsOnAnyThreads(y, [&] { Call(Matmul, {c.x, c.w}, {y}); });
  }
}

INSTANTIATE_TEST_SUITE_P(All, PackedMatmulTest,
                         testing::ValuesIn(PackedDTypes()),
                         [](const auto& info) {
                           return std::string(Info(info.param).name);
                         });

TEST(PackedMatmulTest, BatchesThatShareTheWeightsAreOneProduct) {
  const Case c = MakeCase(DType::Q4_0, DType::F16, 6, 256, 10, 2);
  const Case flat = c;
  TestArray x = c.x;
  x.dims = {2, 3, 256};
  x.strides = {3 * 256, 256, 1};
  const TestArray w = BroadcastTo(c.w, {2, 256, 10});
  ForEachTarget([&] {
    const TestArray want = Poisoned(DType::F16, {6, 10});
    const TestArray y = Poisoned(DType::F16, {2, 3, 10});
    Call(Matmul, {flat.x, flat.w}, {want});
    Call(Matmul, {x, w}, {y});
    ExpectClose(y, want.Values(), 0);
  });
}

}  // namespace
}  // namespace tl::TL_KERNELS
