// Reading and writing what a model keeps between predictions (MilProgram).
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

TensorRef& StateOf(const MilCall& call) {
  const Value& value = call.Get("input");
  if (!value.state) Fail(ErrorKind::kInput, "input 'input' is not a state");
  return *value.state;
}

MilResult ReadState(const MilCall& call) { return StateOf(call); }

MilResult WriteState(const MilCall& call) {
  TensorRef& state = StateOf(call);
  const TensorRef data = call.Tensor("data");
  if (data->shape() != state->shape()) {
    Fail(ErrorKind::kInput, "a state of shape {} is given {}",
         state->shape().ToString(), data->shape().ToString());
  }
  state = Cast(call.lo(), data, state->dtype());
  return state;
}

constexpr MilOp kOps[] = {
    {"read_state", ReadState},
    {"write_state", WriteState},
};

}  // namespace

std::span<const MilOp> StateOps() { return kOps; }

}  // namespace tl::coreml
