#include "exec/plan_print.h"

#include <gtest/gtest.h>

#include "exec/planner.h"
#include "graph/builder.h"
#include "ops/build.h"

namespace tl {
namespace {

TEST(PlanPrint, ShowsStepsFusionBytesAndOperations) {
  Builder builder;
  const NodePtr x = builder.Leaf(MakeTensor(DType::F16, Shape{8, 4}));
  const NodePtr w = builder.Leaf(MakeTensor(DType::F16, Shape{2, 4}));
  const NodePtr b = builder.Leaf(MakeTensor(DType::F16, Shape{2}));
  TensorRef y = MatrixProduct(builder, x, SwapAxes(builder, w, 0, 1));
  y = Unary(builder, OpId::Relu, Binary(builder, OpId::Add, y, b));
  Node* wanted[] = {AsNode(y).get()};
  const auto where = [](const Step&) { return "mlp.tl:7:12"; };
  EXPECT_EQ(PrintPlan(MakePlan(CollectStructure(wanted, {})), where),
            "1 step, 1 result, 116 B moved, 160 flop\n"
            "   1  %0 float16[8, 2] = matmul: add, relu(leaf0 float16[8, 4], "
            "leaf1 float16[4, 2] strided, leaf2 float16[8, 2] strided)  116 B, "
            "160 flop, mlp.tl:7:12\n");
}

TEST(PlanPrint, GivesBytesThreeDigits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1000), "1.0 KB");
  EXPECT_EQ(FormatBytes(123456), "123 KB");
  EXPECT_EQ(FormatBytes(2.2e9), "2.2 GB");
}

}  // namespace
}  // namespace tl
