// The operations of MIL programs (mil_ops.cc finds one by name), in tables by
// subject: the name that a program uses, and the function that builds it. A new
// operation is one row and one function in the file of its subject. `const`,
// `constexpr_*`, `cond` and `while_loop` are the program's own: mil_program.cc.
#pragma once

#include <span>
#include <string_view>

#include "coreml/mil_call.h"

namespace tl::coreml {

struct MilOp {
  std::string_view name;
  MilFunction function;
};

std::span<const MilOp> ElementwiseOps();  // mil_elementwise.cc
std::span<const MilOp> ActivationOps();   // mil_activation.cc
std::span<const MilOp> NetOps();          // mil_nets.cc
std::span<const MilOp> WindowOps();       // mil_windows.cc
std::span<const MilOp> ResizeOps();       // mil_resize.cc
std::span<const MilOp> ReduceOps();       // mil_reduce.cc
std::span<const MilOp> ShapeOps();        // mil_shape.cc
std::span<const MilOp> BlockOps();        // mil_blocks.cc
std::span<const MilOp> IndexOps();        // mil_index.cc
std::span<const MilOp> RecurrentOps();    // mil_recurrent.cc
std::span<const MilOp> ListOps();         // mil_list.cc
std::span<const MilOp> ScatterOps();      // mil_scatter.cc
std::span<const MilOp> SampleOps();       // mil_sample.cc
std::span<const MilOp> BoxOps();          // mil_boxes.cc
std::span<const MilOp> RandomOps();       // mil_random.cc
std::span<const MilOp> StateOps();        // mil_state.cc

// One operand, x; two, x and y.
template <OpId op>
MilResult UnaryOf(const MilCall& call) {
  return call.lo().Lowering::Apply(op, {call.Tensor("x")});
}
template <OpId op>
MilResult BinaryOf(const MilCall& call) {
  return call.lo().Lowering::Apply(op, {call.Tensor("x"), call.Tensor("y")});
}

}  // namespace tl::coreml
