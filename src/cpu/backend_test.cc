#include "cpu/backend.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "kernel_tests/kernel_test.h"

namespace tl {
namespace {

using cpu::ArrayOf;
using cpu::Poisoned;
using cpu::TestArray;

TEST(CpuBackend, RunsKernelsOnItsOwnMemory) {
  const std::unique_ptr<Backend> backend = OpenCpu();
  EXPECT_EQ(backend->name(), "cpu");
  EXPECT_EQ(backend->device(), Device::kCpu);
  const float values[] = {1, 2, 3, 4};
  const std::shared_ptr<std::byte> memory = backend->Allocate(sizeof values);
  backend->CopyIn(memory.get(), reinterpret_cast<const std::byte*>(values),
                  sizeof values);
  View x = {memory.get(), DType::F32, 1, {4}, {1}};
  const TestArray sum = Poisoned(DType::F32, {});
  const View y = sum.AsView();
  KernelArgs args;
  args.inputs = {&x, 1};
  args.outputs = {&y, 1};
  const int64_t axes[] = {0, 0};
  args.ints = axes;
  backend->Run(OpId::Sum, args);
  backend->Wait();
  float result = 0;
  backend->CopyOut(reinterpret_cast<std::byte*>(&result), sum.block.get(),
                   sizeof result, 0);
  EXPECT_EQ(result, 10);
}

TEST(CpuBackend, RunsElementwiseProgramsUnderIdentity) {
  const std::unique_ptr<Backend> backend = OpenCpu();
  const TestArray x = ArrayOf(DType::F16, {3}, {1, 2, 3});
  const TestArray y = Poisoned(DType::F16, {3});
  const View in = x.AsView(), out = y.AsView();
  ElementwiseProgram program;
  program.inputs = 1;
  program.input_dtypes = {DType::F16};
  program.instructions = {{OpId::Neg, DType::F16, false, {0}}};
  program.outputs = {1};
  KernelArgs args;
  args.inputs = {&in, 1};
  args.outputs = {&out, 1};
  args.program = &program;
  backend->Run(OpId::Identity, args);
  EXPECT_EQ(y.Values(), (std::vector<double>{-1, -2, -3}));
}

TEST(CpuBackend, RefusesToRunAView) {
  const std::unique_ptr<Backend> backend = OpenCpu();
  try {
    backend->Run(OpId::Reshape, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
  }
}

TEST(CpuBackend, GivesALoopTheSameMemoryAgain) {
  const std::unique_ptr<Backend> backend = OpenCpu();
  std::byte* first = backend->Allocate(int64_t{8} << 20).get();
  EXPECT_EQ(backend->Allocate(int64_t{8} << 20).get(), first);
}

TEST(SimdTargets, CanBeChosen) {
  const std::vector<int64_t> targets = cpu::SimdTargets();
  ASSERT_FALSE(targets.empty());
  EXPECT_EQ(cpu::CurrentSimdTarget(), targets.front());
  cpu::UseSimdTarget(targets.back());
  EXPECT_EQ(cpu::CurrentSimdTarget(), targets.back());
  cpu::UseSimdTarget(0);
  EXPECT_EQ(cpu::CurrentSimdTarget(), targets.front());
}

}  // namespace
}  // namespace tl
