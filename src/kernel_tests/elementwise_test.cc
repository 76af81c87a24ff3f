#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernel_tests/kernel_test.h"
#include "ops/evaluate.h"

namespace tl::TL_KERNELS {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Row {
  OpId op;
  double formula(double x, double y, double z) const {
    return Evaluate(op, x, y, z);
  }
};

const Row kRows[] = {
#define TL_UNARY(id, ...) {OpId::id},
#define TL_BINARY(id, ...) {OpId::id},
#define TL_TERNARY(id, ...) {OpId::id},
#include "ops/elementwise.def"
};

class ElementwiseRow : public testing::TestWithParam<Row> {};

INSTANTIATE_TEST_SUITE_P(Rows, ElementwiseRow, testing::ValuesIn(kRows),
                         [](const auto& info) {
                           return std::string(Info(info.param.op).name);
                         });

DType ResultOf(OpId op, DType operands) {
  return Info(op).domain == Domain::kCompare ? DType::I32 : operands;
}

ElementwiseProgram OneOp(OpId op, const std::vector<TestArray>& inputs,
                         DType result) {
  ElementwiseProgram program;
  program.inputs = static_cast<int>(inputs.size());
  bool int_lanes = result == DType::I32;
  for (const TestArray& input : inputs) {
    program.input_dtypes.push_back(input.dtype);
    int_lanes = int_lanes && input.dtype == DType::I32;
  }
  program.instructions.push_back({op, result, int_lanes, {0, 1, 2}});
  program.outputs = {static_cast<uint8_t>(program.inputs)};
  return program;
}

void RunProgram(const ElementwiseProgram& program,
                const std::vector<TestArray>& inputs,
                const std::vector<TestArray>& outputs) {
  Call(Elementwise, inputs, outputs, {}, {}, &program);
}

TestArray RunOne(OpId op, const std::vector<TestArray>& inputs, DType result) {
  const TestArray output = Poisoned(result, inputs.at(0).dims);
  RunProgram(OneOp(op, inputs, result), inputs, {output});
  return output;
}

// What int32 lanes make of an exact result; a remainder by 0 is 0.
double Wrapped(double value) {
  if (std::isnan(value)) return 0;
  return static_cast<int32_t>(static_cast<int64_t>(value));
}

std::vector<double> Reference(const Row& row,
                              const std::vector<TestArray>& inputs,
                              DType result) {
  const int64_t n = ElementCount(inputs.at(0).dims);
  bool ints = result == DType::I32;
  for (const TestArray& input : inputs)
    ints = ints && input.dtype == DType::I32;
  std::vector<double> values(n);
  for (int64_t i = 0; i < n; ++i) {
    double operands[3] = {};
    for (size_t k = 0; k < inputs.size(); ++k) operands[k] = inputs[k].Get(i);
    values[i] = row.formula(operands[0], operands[1], operands[2]);
    if (ints) values[i] = Wrapped(values[i]);
  }
  return values;
}

// A formula that adds numbers larger than their sum (1 + erf, 1 + tanh) loses
// f32 steps of those; one that divides by 1 + e^-x gives 0 where that
// overflows. Both are below f16's resolution. Bounds relative to max(1, |x|).
double AbsoluteSlack(OpId op) {
  switch (op) {
    case OpId::Gelu:
    case OpId::GeluTanh:
    case OpId::Softplus:
      return 0x1p-22;
    case OpId::Sigmoid:
    case OpId::Silu:
      return 0x1p-126;
    default:
      return 0;
  }
}

// Within 2 steps of f16 or 4 of f32.
void ExpectFormula(const Row& row, const std::vector<TestArray>& inputs,
                   const TestArray& got) {
  std::vector<double> want = Reference(row, inputs, got.dtype);
  const double slack = AbsoluteSlack(row.op);
  if (got.dtype == DType::F32 && slack > 0) {
    for (size_t i = 0; i < want.size(); ++i) {
      const double scale = std::max(1.0, std::abs(inputs[0].Get(i)));
      if (std::abs(got.Get(i) - want[i]) <= slack * scale) want[i] = got.Get(i);
    }
  }
  ExpectClose(got, want, got.dtype == DType::F16 ? 2 : 4);
}

std::vector<TestArray> Operands(OpId op, DType dtype, const Dims& dims,
                                double low, double high) {
  std::vector<TestArray> operands;
  for (int i = 0; i < Info(op).arity; ++i) {
    operands.push_back(RandomArray(dtype, dims, i + 1, low, high));
  }
  return operands;
}

std::vector<DType> TypesOf(OpId op) {
  std::vector<DType> types = {DType::F16, DType::F32};
  if (Info(op).domain != Domain::kFloat) types.push_back(DType::I32);
  return types;
}

TEST_P(ElementwiseRow, MatchesItsFormulaOnAwkwardSizes) {
  const Row& row = GetParam();
  ForEachTarget([&] {
    for (DType dtype : TypesOf(row.op)) {
      for (const Dims& dims :
           {Dims{}, Dims{0}, Dims{1}, Dims{7}, Dims{16}, Dims{17},
            Dims{3, 0, 2}, Dims{2, 3, 5}, Dims{1025}, Dims{3, 1024}}) {
        const auto operands = Operands(row.op, dtype, dims, -9, 9);
        ExpectFormula(row, operands,
                      RunOne(row.op, operands, ResultOf(row.op, dtype)));
      }
    }
  });
}

TEST_P(ElementwiseRow, MatchesItsFormulaOverWideRanges) {
  const Row& row = GetParam();
  ForEachTarget([&] {
    for (DType dtype : TypesOf(row.op)) {
      for (double range : {1e-5, 0.01, 1.0, 100.0, 60000.0}) {
        const auto operands = Operands(row.op, dtype, {3000}, -range, range);
        ExpectFormula(row, operands,
                      RunOne(row.op, operands, ResultOf(row.op, dtype)));
      }
    }
  });
}

// Every pair of special values, for one, two and three operands.
TEST_P(ElementwiseRow, MatchesItsFormulaOnSpecialValues) {
  const Row& row = GetParam();
  const std::vector<double> special = {
      0.0,  -0.0, 1.0,  -1.0, 2.0,   -2.0, 0.5,     -0.5,    3.0,
      -3.0, 2.5,  -2.5, kInf, -kInf, kNaN, 65504.0, 0x1p-24, 1e-3};
  std::vector<double> x, y, z;
  for (double a : special) {
    for (double b : special) {
      x.push_back(a);
      y.push_back(b);
      z.push_back(special[(x.size() * 7) % special.size()]);
    }
  }
  const Dims dims = {static_cast<int64_t>(x.size())};
  ForEachTarget([&] {
    for (DType dtype : {DType::F16, DType::F32}) {
      std::vector<TestArray> operands = {ArrayOf(dtype, dims, x),
                                         ArrayOf(dtype, dims, y),
                                         ArrayOf(dtype, dims, z)};
      operands.resize(Info(row.op).arity);
      ExpectFormula(row, operands,
                    RunOne(row.op, operands, ResultOf(row.op, dtype)));
    }
  });
}

TEST_P(ElementwiseRow, ReadsAnyStrides) {
  const Row& row = GetParam();
  const Dims dims = {6, 5, 35};
  const std::vector<std::function<TestArray(uint32_t)>> views = {
      [&](uint32_t seed) { return RandomArray(DType::F16, dims, seed); },
      [&](uint32_t seed) {
        return Permuted(RandomArray(DType::F16, {35, 5, 6}, seed), {2, 1, 0});
      },
      [&](uint32_t seed) {
        return Sliced(RandomArray(DType::F16, {6, 5, 70}, seed), 2, 1, 35, 2);
      },
      [&](uint32_t seed) {
        return Sliced(RandomArray(DType::F16, dims, seed), 2, 34, 35, -1);
      },
      [&](uint32_t seed) {
        return BroadcastTo(RandomArray(DType::F16, {35}, seed), dims);
      },
      [&](uint32_t seed) {
        return BroadcastTo(RandomArray(DType::F16, {6, 1, 1}, seed), dims);
      },
      [&](uint32_t seed) {
        return BroadcastTo(RandomArray(DType::F32, {5, 1}, seed), dims);
      },
      [&](uint32_t seed) {
        return BroadcastTo(RandomArray(DType::F32, {}, seed), dims);
      },
      [&](uint32_t seed) {
        return BroadcastTo(RandomArray(DType::I32, {6, 1, 35}, seed), dims);
      },
  };
  ForEachTarget([&] {
    for (size_t first = 0; first < views.size(); ++first) {
      std::vector<TestArray> operands;
      for (int i = 0; i < Info(row.op).arity; ++i) {
        operands.push_back(views[(first + i) % views.size()](i + 1));
      }
      ExpectFormula(row, operands,
                    RunOne(row.op, operands, ResultOf(row.op, DType::F16)));
    }
  });
}

TEST(Elementwise, ComputesInt32ExactlyAndWraps) {
  const TestArray x =
      ArrayOf(DType::I32, {4}, {2147483647, -2147483648.0, 16777217, -5});
  const TestArray y = ArrayOf(DType::I32, {4}, {1, -1, 3, 3});
  ForEachTarget([&] {
    EXPECT_EQ(RunOne(OpId::Add, {x, y}, DType::I32).Values(),
              (std::vector<double>{-2147483648.0, 2147483647, 16777220, -2}));
    EXPECT_EQ(RunOne(OpId::Mul, {x, y}, DType::I32).Values(),
              (std::vector<double>{2147483647, -2147483648.0, 50331651, -15}));
    EXPECT_EQ(RunOne(OpId::Fmod, {x, y}, DType::I32).Values(),
              (std::vector<double>{0, 0, 2, -2}));
    EXPECT_EQ(RunOne(OpId::Abs, {x}, DType::I32).Values(),
              (std::vector<double>{2147483647, -2147483648.0, 16777217, 5}));
  });
}

TEST(Elementwise, TakesAnInt32RemainderByZeroAsZero) {
  const TestArray x = ArrayOf(DType::I32, {3}, {7, -2147483648.0, 0});
  const TestArray zero = ArrayOf(DType::I32, {3}, {0, 0, 0});
  ForEachTarget([&] {
    EXPECT_EQ(RunOne(OpId::Fmod, {x, zero}, DType::I32).Values(),
              (std::vector<double>{0, 0, 0}));
  });
}

TEST(Elementwise, CastsTowardZeroAndSaturates) {
  const TestArray x = ArrayOf(
      DType::F32, {8}, {1.9, -1.9, 3e9, -3e9, kInf, -kInf, kNaN, 2147483520});
  ForEachTarget([&] {
    EXPECT_EQ(RunOne(OpId::Identity, {x}, DType::I32).Values(),
              (std::vector<double>{1, -1, 2147483647, -2147483648.0, 2147483647,
                                   -2147483648.0, 0, 2147483520}));
  });
}

TEST(Elementwise, RoundsEveryHalfToNearestEven) {
  std::vector<double> values;
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const double here = HalfToFloat(static_cast<uint16_t>(bits));
    const double next = HalfToFloat(static_cast<uint16_t>(bits + 1));
    const double tie = bits == 0x7bff ? kHalfOverflow : (here + next) / 2;
    for (double v : {here, tie, std::nextafter(float(tie), 0.0f) * 1.0,
                     std::nextafter(float(tie), 1e9f) * 1.0}) {
      values.push_back(v);
      values.push_back(-v);
    }
  }
  const Dims dims = {static_cast<int64_t>(values.size())};
  const TestArray wide = ArrayOf(DType::F32, dims, values);
  ForEachTarget([&] {
    const TestArray half = RunOne(OpId::Identity, {wide}, DType::F16);
    ExpectClose(half, values, 0);
    ExpectClose(RunOne(OpId::Identity, {half}, DType::F32), half.Values(), 0);
  });
}

// Whatever f16 they are computed in: infinite, NaN and subnormal ones too.
TEST(Elementwise, RoundsSumsAndProductsOfHalvesOnce) {
  std::vector<double> values, others;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    values.push_back(HalfToFloat(static_cast<uint16_t>(bits)));
    others.push_back(HalfToFloat(static_cast<uint16_t>(bits * 40503 + 77)));
  }
  const TestArray x = ArrayOf(DType::F16, {0x10000}, values);
  const TestArray y = ArrayOf(DType::F16, {0x10000}, others);
  for (OpId op : {OpId::Add, OpId::Sub, OpId::Mul}) {
    std::vector<double> want;
    for (size_t i = 0; i < values.size(); ++i) {
      want.push_back(Row{op}.formula(values[i], others[i], 0));
    }
    ForEachTarget([&] { ExpectClose(RunOne(op, {x, y}, DType::F16), want, 0); });
  }
}

// silu(a) * b + c, each result rounded to f16 whether it is stored or not.
TEST(Elementwise, GivesAFusedChainTheBitsOfItsSteps) {
  const Dims dims = {3, 1000};
  const TestArray a = RandomArray(DType::F16, dims, 1, -8, 8);
  const TestArray b = RandomArray(DType::F16, dims, 2);
  const TestArray c = BroadcastTo(RandomArray(DType::F16, {1000}, 3), dims);
  ElementwiseProgram program;
  program.inputs = 3;
  program.input_dtypes = {DType::F16, DType::F16, DType::F16};
  program.instructions = {{OpId::Silu, DType::F16, false, {0}},
                          {OpId::Mul, DType::F16, false, {3, 1}},
                          {OpId::Add, DType::F16, false, {4, 2}}};
  program.outputs = {4, 5};
  ForEachTarget([&] {
    const TestArray product = Poisoned(DType::F16, dims);
    const TestArray sum = Poisoned(DType::F16, dims);
    RunProgram(program, {a, b, c}, {product, sum});
    const TestArray silu = RunOne(OpId::Silu, {a}, DType::F16);
    const TestArray step = RunOne(OpId::Mul, {silu, b}, DType::F16);
    ExpectClose(product, step.Values(), 0);
    ExpectClose(sum, RunOne(OpId::Add, {step, c}, DType::F16).Values(), 0);
  });
}

// A product that only a sum reads is never stored, but rounded all the same.
TEST(Elementwise, RoundsAProductBeforeItIsAddedTo) {
  const Dims dims = {777};
  const TestArray x = RandomArray(DType::F16, dims, 1);
  const TestArray y = RandomArray(DType::F16, dims, 2);
  const TestArray z = RandomArray(DType::F16, dims, 3);
  const TestArray wide = RandomArray(DType::F32, dims, 4);
  ForEachTarget([&] {
    const TestArray product = RunOne(OpId::Mul, {x, y}, DType::F16);
    for (const TestArray& term : {z, wide}) {
      const TestArray want = RunOne(OpId::Add, {product, term}, DType::F16);
      for (bool product_first : {true, false}) {
        ElementwiseProgram program;
        program.inputs = 3;
        program.input_dtypes = {DType::F16, DType::F16, term.dtype};
        program.instructions = {{OpId::Mul, DType::F16, false, {0, 1}},
                                {OpId::Add, DType::F16, false, {3, 2}}};
        if (!product_first) program.instructions[1].operand[0] = 2;
        if (!product_first) program.instructions[1].operand[1] = 3;
        program.outputs = {4};
        const TestArray sum = Poisoned(DType::F16, dims);
        RunProgram(program, {x, y, term}, {sum});
        ExpectClose(sum, want.Values(), 0);
      }
    }
    // x * y + x * y: the product is read twice.
    ElementwiseProgram twice;
    twice.inputs = 2;
    twice.input_dtypes = {DType::F16, DType::F16};
    twice.instructions = {{OpId::Mul, DType::F16, false, {0, 1}},
                          {OpId::Add, DType::F16, false, {2, 2}}};
    twice.outputs = {3};
    const TestArray doubled = Poisoned(DType::F16, dims);
    RunProgram(twice, {x, y}, {doubled});
    std::vector<double> want = product.Values();
    for (double& v : want) v *= 2;
    ExpectClose(doubled, want, 0);
  });
}

// Enough for the ways that are for large arrays only.
TEST(Elementwise, ComputesAChainOnManyElements) {
  constexpr int64_t kCount = 300007;
  ForEachTarget([] {
    for (const DType dtype : {DType::F16, DType::F32}) {
      const TestArray a = RandomArray(dtype, {kCount}, 1, -8, 8);
      const TestArray b = RandomArray(dtype, {kCount}, 2, 0.5, 2);
      const TestArray row = BroadcastTo(RandomArray(dtype, {1}, 3), {kCount});
      const TestArray y = Poisoned(dtype, {kCount});
      ElementwiseProgram program;
      program.inputs = 3;
      program.input_dtypes = {dtype, dtype, dtype};
      program.instructions = {{OpId::Silu, dtype, false, {0, 0, 0}},
                              {OpId::Div, dtype, false, {3, 1, 0}},
                              {OpId::Sub, dtype, false, {4, 2, 0}}};
      program.outputs = {5};
      RunProgram(program, {a, b, row}, {y});
      for (int64_t i = 0; i < kCount; ++i) {
        const double x = a.Get(i);
        const double silu = RoundedTo(dtype, x / (1 + std::exp(-x)));
        const double ratio = RoundedTo(dtype, silu / b.Get(i));
        const double want = RoundedTo(dtype, ratio - row.Get(i));
        // Each of the three may round to the neighbour.
        const double step = dtype == DType::F16 ? 0x1p-10 : 0x1p-22;
        ASSERT_NEAR(y.Get(i), want, 3 * step * (std::abs(ratio) + 1)) << i;
      }
    }
  });
}

TEST(Elementwise, MayReplaceAnOperandInPlace) {
  ForEachTarget([&] {
    const TestArray x = RandomArray(DType::F16, {5000}, 1);
    std::vector<double> want = x.Values();
    for (double& v : want) v = RoundedTo(DType::F16, v * v) + v;
    ElementwiseProgram program;
    program.inputs = 1;
    program.input_dtypes = {DType::F16};
    program.instructions = {{OpId::Square, DType::F16, false, {0}},
                            {OpId::Add, DType::F16, false, {1, 0}}};
    program.outputs = {2};
    RunProgram(program, {x}, {x});
    ExpectClose(x, want, 0.5);
  });
}

// Large enough for results written past the caches, and for many chunks.
TEST(Elementwise, GivesTheSameBitsOnAnyNumberOfThreads) {
  const Dims dims = {(int64_t{9} << 20) + 5};
  const TestArray x = RandomArray(DType::F16, dims, 1);
  const TestArray y = Poisoned(DType::F16, dims);
  const ElementwiseProgram program = OneOp(OpId::Exp, {x}, DType::F16);
  ExpectSameBitsOnAnyThreads(y, [&] { RunProgram(program, {x}, {y}); });
  for (int64_t i : {int64_t{0}, dims[0] / 2, dims[0] - 1}) {
    EXPECT_NEAR(y.Get(i), std::exp(x.Get(i)), 0.01);
  }
}

// Rows that do not end where blocks do, and periods of every length.
TEST(Elementwise, RepeatsOperandsThatBroadcastAlongOuterAxes) {
  ForEachTarget([] {
    for (const Dims& dims : {Dims{3000, 3}, Dims{100, 77}, Dims{9, 1000},
                             Dims{8, 3, 129}, Dims{5, 9000}}) {
      const TestArray x = RandomArray(DType::F16, dims, 1);
      const TestArray row =
          BroadcastTo(RandomArray(DType::F32, {dims.back()}, 2), dims);
      const TestArray y = RunOne(OpId::Sub, {x, row}, DType::F16);
      for (int64_t i = 0; i < ElementCount(dims); ++i) {
        ASSERT_EQ(y.Get(i),
                  RoundedTo(DType::F16, float(x.Get(i) - row.Get(i))));
      }
    }
  });
}

TEST(Elementwise, ReadsLargeTransposedOperands) {
  const Dims dims = {2, 150, 170};
  const TestArray x = RandomArray(DType::F16, dims, 1);
  const TestArray turned =
      Permuted(RandomArray(DType::F16, {170, 2, 150}, 2), {1, 2, 0});
  const TestArray plane = BroadcastTo(
      Permuted(RandomArray(DType::F16, {170, 150}, 3), {1, 0}), dims);
  ForEachTarget([&] {
    for (const TestArray& other : {turned, plane}) {
      std::vector<double> want = x.Values();
      for (size_t i = 0; i < want.size(); ++i) want[i] += other.Get(i);
      ExpectClose(RunOne(OpId::Add, {x, other}, DType::F16), want, 0.5);
      ExpectClose(RunOne(OpId::Identity, {other}, DType::F16), other.Values(),
                  0);
    }
  });
}

}  // namespace
}  // namespace tl::TL_KERNELS
