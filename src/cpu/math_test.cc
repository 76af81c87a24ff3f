// exp and its kin on floats of every exponent, against the C library in double.
// The formulas of elementwise.def that use them have their own tests.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "kernel_tests/kernel_test.h"

namespace tl::cpu {
namespace {

struct Function {
  const char* name;
  OpId op;
  double (*exact)(double);
};

const Function kFunctions[] = {
    {"exp", OpId::Exp, std::exp},    {"log", OpId::Log, std::log},
    {"sin", OpId::Sin, std::sin},    {"cos", OpId::Cos, std::cos},
    {"tanh", OpId::Tanh, std::tanh}, {"erf", OpId::Erf, std::erf},
};

class MathFunction : public testing::TestWithParam<Function> {};
INSTANTIATE_TEST_SUITE_P(OnLanes, MathFunction, testing::ValuesIn(kFunctions),
                         [](const auto& info) { return info.param.name; });

TEST_P(MathFunction, IsWithinThreeStepsOfF32Everywhere) {
  // A prime, so that the samples run through all low bits.
  constexpr uint32_t kStride = 9973;
  constexpr int64_t kCount = 0xffffffffu / kStride;
  const TestArray x = Poisoned(DType::F32, {kCount});
  float* values = reinterpret_cast<float*>(x.block.get());
  for (int64_t i = 0; i < kCount; ++i) {
    values[i] = std::bit_cast<float>(static_cast<uint32_t>(i * kStride));
  }
  std::vector<double> want(kCount);
  for (int64_t i = 0; i < kCount; ++i) want[i] = GetParam().exact(values[i]);

  ElementwiseProgram program;
  program.inputs = 1;
  program.input_dtypes = {DType::F32};
  program.instructions = {{GetParam().op, DType::F32, false, {0}}};
  program.outputs = {1};
  ForEachTarget([&] {
    const TestArray y = Poisoned(DType::F32, {kCount});
    const View in = x.AsView(), out = y.AsView();
    KernelArgs args;
    args.inputs = {&in, 1};
    args.outputs = {&out, 1};
    args.program = &program;
    Elementwise(args);
    ExpectClose(y, want, 3);
  });
}

}  // namespace
}  // namespace tl::cpu
