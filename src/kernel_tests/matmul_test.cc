#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

int64_t DimFromEnd(const TestArray& array, int axis) {
  return array.dims[array.dims.size() - axis];
}

// The product in double, and for each element the sum of the magnitudes of its
// terms, which bounds the error of any order of summation.
struct Reference {
  std::vector<double> values;
  std::vector<double> magnitudes;
};

Reference ProductOf(const TestArray& x, const TestArray& w) {
  const int64_t m = DimFromEnd(x, 2), k = DimFromEnd(x, 1),
                n = DimFromEnd(w, 1);
  const std::vector<double> a = x.Values(), b = w.Values();
  const int64_t batch = ElementCount(Dims(x.dims.begin(), x.dims.end() - 2));
  Reference reference;
  for (int64_t row = 0; row < batch * m; ++row) {
    for (int64_t col = 0; col < n; ++col) {
      double sum = 0, magnitude = 0;
      for (int64_t i = 0; i < k; ++i) {
        const double term = a[row * k + i] * b[row / m * k * n + i * n + col];
        sum += term;
        magnitude += std::abs(term);
      }
      reference.values.push_back(sum);
      reference.magnitudes.push_back(magnitude);
    }
  }
  return reference;
}

void ExpectProduct(const TestArray& got, const Reference& want) {
  const double rounding = got.dtype == DType::F16 ? 0x1p-11 : 0x1p-24;
  for (int i = 0; i < kGuardBytes; ++i) {
    ASSERT_EQ(got.block.get()[got.block_bytes + i], kGuard)
        << "written " << i << " bytes behind the array";
  }
  ASSERT_EQ(ElementCount(got.dims), static_cast<int64_t>(want.values.size()));
  for (size_t i = 0; i < want.values.size(); ++i) {
    const double allowed = std::abs(want.values[i]) * rounding * 1.01 +
                           want.magnitudes[i] * 0x1p-21 + 0x1p-25;
    ASSERT_NEAR(got.Get(i), want.values[i], allowed) << "element " << i;
  }
}

TestArray ResultOf(const TestArray& x, const TestArray& w, DType dtype) {
  Dims dims = x.dims;
  dims.back() = w.dims.back();
  return Poisoned(dtype, dims);
}

void Check(const TestArray& x, const TestArray& w, DType dtype) {
  const Reference want = ProductOf(x, w);
  ForEachTarget([&] {
    const TestArray y = ResultOf(x, w, dtype);
    Call(Matmul, {x, w}, {y});
    ExpectProduct(y, want);
  });
}

TestArray Transposed(const TestArray& array) {
  std::vector<int> axes(array.dims.size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int>(i);
  std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
  return Permuted(array, axes);
}

// Stored the other way round, seen as [rows, cols].
TestArray RandomTransposed(DType dtype, int64_t rows, int64_t cols,
                           uint32_t seed) {
  return Transposed(RandomArray(dtype, {cols, rows}, seed));
}

// Neither axis has stride 1.
TestArray RandomSpread(DType dtype, int64_t rows, int64_t cols, uint32_t seed) {
  return Sliced(
      Sliced(RandomArray(dtype, {2 * rows, 3 * cols}, seed), 0, 1, rows, 2), 1,
      2, cols, 3);
}

// Both axes run backwards.
TestArray RandomReversed(DType dtype, int64_t rows, int64_t cols,
                         uint32_t seed) {
  return Sliced(Sliced(RandomArray(dtype, {rows, cols}, seed), 0,
                       std::max<int64_t>(rows, 1) - 1, rows, -1),
                1, std::max<int64_t>(cols, 1) - 1, cols, -1);
}

TEST(MatmulTest, MultipliesEveryAwkwardShape) {
  const int64_t sizes[] = {1, 2, 3, 8, 9, 13, 33, 97};
  uint32_t seed = 0;
  const auto next = [&] { return ++seed; };
  for (int64_t m : sizes) {
    for (int64_t k : {1, 7, 16, 17, 65}) {
      for (int64_t n : sizes) {
        SCOPED_TRACE(testing::Message() << m << " x " << k << " x " << n);
        Check(RandomArray(DType::F16, {m, k}, next()),
              RandomArray(DType::F16, {k, n}, next()), DType::F16);
        Check(RandomArray(DType::F16, {m, k}, next()),
              RandomTransposed(DType::F16, k, n, next()), DType::F16);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(MatmulTest, MultipliesOnePastEveryBlock) {
  struct Size {
    int64_t m, k, n;
  };
  const Size sizes[] = {{97, 513, 65},   {385, 1025, 33}, {2, 513, 1025},
                        {8, 4097, 515},  {1, 9001, 17},   {33, 31, 2049},
                        {96, 1030, 545}, {200, 64, 1}};
  uint32_t seed = 100;
  const auto next = [&] { return ++seed; };
  for (const Size& size : sizes) {
    SCOPED_TRACE(testing::Message()
                 << size.m << " x " << size.k << " x " << size.n);
    const TestArray x = RandomArray(DType::F16, {size.m, size.k}, next());
    Check(x, RandomArray(DType::F16, {size.k, size.n}, next()), DType::F16);
    Check(x, RandomTransposed(DType::F16, size.k, size.n, next()), DType::F32);
  }
}

TEST(MatmulTest, TakesAnyStridesAndTypes) {
  using Make = TestArray (*)(DType, int64_t, int64_t, uint32_t);
  const Make dense = [](DType dtype, int64_t rows, int64_t cols,
                        uint32_t seed) {
    return RandomArray(dtype, {rows, cols}, seed);
  };
  const Make makes[] = {dense, RandomTransposed, RandomSpread, RandomReversed};
  uint32_t seed = 200;
  const auto next = [&] { return ++seed; };
  for (int64_t m : {1, 5, 31}) {
    for (Make make_x : makes) {
      for (Make make_w : makes) {
        for (DType x_type : {DType::F16, DType::F32}) {
          for (DType w_type : {DType::F16, DType::F32}) {
            const bool half = x_type == DType::F16 && w_type == DType::F16;
            Check(make_x(x_type, m, 37, next()), make_w(w_type, 37, 45, next()),
                  half ? DType::F16 : DType::F32);
          }
        }
      }
    }
  }
}

TEST(MatmulTest, BatchesMayShareEitherSide) {
  const TestArray x = RandomArray(DType::F16, {3, 4, 5, 19}, 300);
  const TestArray w = RandomArray(DType::F16, {3, 4, 19, 21}, 301);
  Check(x, w, DType::F16);
  Check(x, BroadcastTo(RandomArray(DType::F16, {19, 21}, 302), w.dims),
        DType::F16);
  Check(x, BroadcastTo(RandomArray(DType::F16, {3, 1, 19, 21}, 303), w.dims),
        DType::F32);
  Check(BroadcastTo(RandomArray(DType::F16, {4, 5, 19}, 304), x.dims), w,
        DType::F16);
  Check(Permuted(RandomArray(DType::F16, {3, 5, 4, 19}, 305), {0, 2, 1, 3}), w,
        DType::F16);
  Check(RandomArray(DType::F16, {40, 1, 19}, 306),
        BroadcastTo(RandomTransposed(DType::F16, 19, 50, 307), {40, 19, 50}),
        DType::F16);
}

TEST(MatmulTest, ManySmallProductsOfABatch) {
  Check(RandomArray(DType::F16, {70, 9, 10}, 310),
        RandomArray(DType::F16, {70, 10, 11}, 311), DType::F16);
  Check(RandomArray(DType::F16, {20, 1, 300}, 312),
        RandomArray(DType::F16, {20, 300, 600}, 313), DType::F16);
}

// relu(product + bias) and (product * residual), both stored.
ElementwiseProgram EpilogueProgram(DType dtype) {
  ElementwiseProgram program;
  program.inputs = 3;
  program.input_dtypes = {dtype, dtype, dtype};
  program.instructions = {{OpId::Add, dtype, false, {0, 1}},
                          {OpId::Relu, dtype, false, {3}},
                          {OpId::Mul, dtype, false, {0, 2}}};
  program.outputs = {4, 5};
  return program;
}

// The epilogue may not change a bit of what separate steps give.
void CheckEpilogue(const TestArray& x, const TestArray& w, DType dtype) {
  const ElementwiseProgram program = EpilogueProgram(dtype);
  ForEachTarget([&] {
    const TestArray y = ResultOf(x, w, dtype);
    Call(Matmul, {x, w}, {y});
    const TestArray bias = RandomArray(dtype, {y.dims.back()}, 601);
    const TestArray residual = RandomArray(dtype, y.dims, 602);
    const TestArray relu = ResultOf(x, w, dtype), mul = ResultOf(x, w, dtype);
    Call(Matmul, {x, w, BroadcastTo(bias, y.dims), residual}, {relu, mul}, {},
         {}, &program);
    std::vector<double> want_relu, want_mul;
    for (int64_t i = 0; i < ElementCount(y.dims); ++i) {
      const double sum =
          RoundedTo(dtype, y.Get(i) + bias.Get(i % y.dims.back()));
      want_relu.push_back(std::max(sum, 0.0));
      want_mul.push_back(RoundedTo(dtype, y.Get(i) * residual.Get(i)));
    }
    ExpectClose(relu, want_relu, 0);
    ExpectClose(mul, want_mul, 0);
  });
}

TEST(MatmulTest, EpilogueEqualsSeparateSteps) {
  struct Size {
    int64_t m, k, n;
  };
  const Size sizes[] = {{1, 50, 70},  {6, 300, 1100}, {3, 0, 5},
                        {40, 30, 75}, {200, 520, 90}, {130, 70, 1}};
  for (const Size& size : sizes) {
    SCOPED_TRACE(testing::Message()
                 << size.m << " x " << size.k << " x " << size.n);
    for (DType dtype : {DType::F16, DType::F32}) {
      const TestArray x = RandomArray(dtype, {size.m, size.k}, 603);
      CheckEpilogue(x, RandomArray(dtype, {size.k, size.n}, 604), dtype);
      CheckEpilogue(x, RandomTransposed(dtype, size.k, size.n, 605), dtype);
    }
  }
}

// float16(float32 product + bias), as `linear` asks for it.
TEST(MatmulTest, ABiasMeetsAProductThatIsNotRounded) {
  ElementwiseProgram program;
  program.inputs = 2;
  program.input_dtypes = {DType::F32, DType::F16};
  program.instructions = {{OpId::Add, DType::F32, false, {0, 1}},
                          {OpId::Identity, DType::F16, false, {2}}};
  program.outputs = {3};
  for (int64_t m : {1, 8, 48}) {
    const TestArray x = RandomArray(DType::F16, {m, 64}, 620);
    const TestArray w = RandomTransposed(DType::F16, 64, 72, 621);
    const TestArray bias = RandomArray(DType::F16, {72}, 622);
    Reference want = ProductOf(x, w);
    for (size_t i = 0; i < want.values.size(); ++i) {
      want.values[i] += bias.Get(i % 72);
    }
    ForEachTarget([&] {
      const TestArray y = ResultOf(x, w, DType::F16);
      const std::vector<int64_t> ints = {int64_t(DType::F32)};
      KernelArgs args;
      args.ints = ints;
      args.dtype = DType::F32;
      args.program = &program;
      RunKernel(Matmul, {x, w, BroadcastTo(bias, y.dims)}, {y}, args);
      ExpectProduct(y, want);
    });
  }
}

TEST(MatmulTest, EpilogueRunsThroughABatch) {
  CheckEpilogue(RandomArray(DType::F16, {3, 4, 7, 19}, 606),
                RandomArray(DType::F16, {3, 4, 19, 21}, 607), DType::F16);
  CheckEpilogue(
      RandomArray(DType::F16, {5, 30, 19}, 608),
      BroadcastTo(RandomArray(DType::F16, {19, 21}, 609), {5, 19, 21}),
      DType::F16);
}

TEST(MatmulTest, AMatrixTimesAVectorReadsTheMatrixAsItLies) {
  for (int64_t m : {1, 9, 70, 1030}) {
    for (int64_t k : {1, 33, 600}) {
      const TestArray v = RandomArray(DType::F16, {k, 1}, 611);
      Check(RandomArray(DType::F16, {m, k}, 610), v, DType::F16);
      Check(RandomTransposed(DType::F16, m, k, 612), v, DType::F16);
      Check(RandomSpread(DType::F16, m, k, 613), v, DType::F16);
    }
  }
}

TEST(MatmulTest, NoTermsSumToZero) {
  for (DType dtype : {DType::F16, DType::F32}) {
    Check(RandomArray(dtype, {2, 3, 0}, 1), RandomArray(dtype, {2, 0, 301}, 1),
          dtype);
  }
}

TEST(MatmulTest, EmptyResultsAreLeftAlone) {
  Check(RandomArray(DType::F16, {0, 3}, 1), RandomArray(DType::F16, {3, 2}, 1),
        DType::F16);
  Check(RandomArray(DType::F16, {2, 3}, 1), RandomArray(DType::F16, {3, 0}, 1),
        DType::F16);
  Check(RandomArray(DType::F16, {0, 2, 3}, 1),
        RandomArray(DType::F16, {0, 3, 2}, 1), DType::F16);
}

TEST(MatmulTest, InfinityAndNaNStayInTheirRow) {
  const TestArray x = RandomArray(DType::F16, {3, 20}, 400);
  x.Set(20, std::numeric_limits<double>::infinity());
  x.Set(45, std::numeric_limits<double>::quiet_NaN());
  const TestArray w = RandomArray(DType::F16, {20, 40}, 401, 0.5, 1);
  ForEachTarget([&] {
    const TestArray y = Poisoned(DType::F16, {3, 40});
    Call(Matmul, {x, w}, {y});
    for (int64_t col = 0; col < 40; ++col) {
      EXPECT_TRUE(std::isfinite(y.Get(col)));
      EXPECT_EQ(y.Get(40 + col), std::numeric_limits<double>::infinity());
      EXPECT_TRUE(std::isnan(y.Get(80 + col)));
    }
  });
}

TEST(MatmulTest, ThreadsDoNotChangeABit) {
  struct Size {
    int64_t m, k, n;
  };
  for (const Size& size : {Size{1, 3000, 700}, Size{7, 3000, 700},
                           Size{40, 1100, 300}, Size{230, 1100, 300}}) {
    const TestArray x = RandomArray(DType::F16, {size.m, size.k}, 500);
    for (const TestArray& w :
         {RandomArray(DType::F16, {size.k, size.n}, 501),
          RandomTransposed(DType::F16, size.k, size.n, 502)}) {
      const TestArray y = Poisoned(DType::F32, {size.m, size.n});
      ExpectSameBitsOnAnyThreads(y, [&] { Call(Matmul, {x, w}, {y}); });
    }
  }
}

}  // namespace
}  // namespace tl::TL_KERNELS
