#include "cpu/elementwise.h"

#include "kernel_tests/kernel_test.h"

namespace tl::cpu {
namespace {

TEST(Elementwise, TakesTheFirstValueOfAnEpilogueFromItsCaller) {
  const Dims dims = {4, 100};
  const TestArray bias = BroadcastTo(RandomArray(DType::F16, {100}, 2), dims);
  const TestArray product = RandomArray(DType::F16, dims, 1);
  ElementwiseProgram program;
  program.inputs = 2;
  program.input_dtypes = {DType::F16, DType::F16};
  program.instructions = {{OpId::Add, DType::F16, false, {0, 1}}};
  program.outputs = {2};
  ForEachTarget([&] {
    const TestArray y = Poisoned(DType::F16, dims);
    const View views[] = {bias.AsView(), y.AsView()};
    const ElementwiseGroup group(program, {&views[0], 1}, {&views[1], 1});
    for (int64_t begin = 0; begin < 400; begin += 50) {
      group.RunFrom(product.block.get() + begin * 2, begin, begin + 50);
    }
    const TestArray want = Poisoned(DType::F16, dims);
    Call(Elementwise, {product, bias}, {want}, {}, {}, &program);
    ExpectClose(y, want.Values(), 0);
  });
}

}  // namespace
}  // namespace tl::cpu
