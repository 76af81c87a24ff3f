// lstm, gru and rnn: the shapes and names of MIL around coreml/recurrent.h.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"
#include "coreml/recurrent.h"

namespace tl::coreml {
namespace {

Activation ActivationNamed(std::string_view name) {
  const auto unary = [](OpId op) {
    return [op](Lowering& lo, const TensorRef& x) { return Unary(lo, op, x); };
  };
  if (name == "sigmoid") return unary(OpId::Sigmoid);
  if (name == "tanh") return unary(OpId::Tanh);
  if (name == "relu") return unary(OpId::Relu);
  if (name == "linear" || name == "identity") return unary(OpId::Identity);
  if (name == "sigmoid_hard") {
    return [](Lowering& lo, const TensorRef& x) {
      return HardSigmoid(lo, x, 0.2, 0.5);
    };
  }
  if (name == "scaled_tanh") {
    return [](Lowering& lo, const TensorRef& x) {
      return ScaledTanh(lo, x, 1.7159, 2.0 / 3);
    };
  }
  Fail(ErrorKind::kInput, "activation '{}' is not known here", name);
}

Activation ActivationInput(const MilCall& call, std::string_view input,
                           std::string_view otherwise) {
  return ActivationNamed(call.Text(input, otherwise));
}

RecurrentWeights Weights(const MilCall& call, std::string_view suffix) {
  const auto name = [&](std::string_view base) {
    return std::string(base) + std::string(suffix);
  };
  return {call.Tensor(name("weight_ih")), call.Tensor(name("weight_hh")),
          call.OptionalTensor(name("bias"))};
}

Direction DirectionOf(const MilCall& call) {
  const std::string_view direction = call.Text("direction", "forward");
  if (direction == "forward") return Direction::kForward;
  if (direction == "reverse") return Direction::kReverse;
  Fail(ErrorKind::kInput, "direction '{}' is not known", direction);
}

// [steps, batch, hidden], or [1, batch, hidden] of the last step.
TensorRef Output(const MilCall& call, const RecurrentResult& result) {
  return call.Flag("output_sequence", false)
             ? StackSteps(call.lo(), result.sequence)
             : Unsqueeze(call.lo(), result.hidden, 0);
}

LstmProblem LstmOf(const MilCall& call, std::string_view suffix) {
  LstmProblem problem;
  problem.weights = Weights(call, suffix);
  const std::string peephole = "peephole" + std::string(suffix);
  problem.peephole = call.OptionalTensor(peephole);
  problem.gate = ActivationInput(call, "recurrent_activation", "sigmoid");
  problem.cell_input = ActivationInput(call, "cell_activation", "tanh");
  problem.output = ActivationInput(call, "activation", "tanh");
  problem.clip = call.Number("clip", 0);
  return problem;
}

// Both directions; their states and outputs lie side by side.
MilResult BidirectionalLstm(const MilCall& call) {
  Builder& lo = call.lo();
  const TensorRef x = call.Tensor("x");
  const TensorRef h = call.Tensor("initial_h"), c = call.Tensor("initial_c");
  if (h->rank() != 2 || h->shape().dim(1) % 2 != 0 ||
      !(h->shape() == c->shape())) {
    Fail(ErrorKind::kInput, "states of shapes {} and {} for two directions",
         h->shape().ToString(), c->shape().ToString());
  }
  const int64_t hidden = h->shape().dim(1) / 2;
  std::vector<TensorRef> outputs, hiddens, cells;
  for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
    const bool back = direction == Direction::kReverse;
    LstmProblem problem = LstmOf(call, back ? "_back" : "");
    problem.direction = direction;
    problem.hidden = Slice(lo, h, 1, back ? hidden : 0, hidden);
    problem.cell = Slice(lo, c, 1, back ? hidden : 0, hidden);
    const RecurrentResult result = RunLstm(lo, x, problem);
    outputs.push_back(Output(call, result));
    hiddens.push_back(result.hidden);
    cells.push_back(result.cell);
  }
  return std::vector<TensorRef>{Concat(lo, outputs, 2), Concat(lo, hiddens, 1),
                                Concat(lo, cells, 1)};
}

MilResult Lstm(const MilCall& call) {
  if (call.Text("direction", "forward") == "bidirectional") {
    return BidirectionalLstm(call);
  }
  LstmProblem problem = LstmOf(call, "");
  problem.direction = DirectionOf(call);
  problem.hidden = call.Tensor("initial_h");
  problem.cell = call.Tensor("initial_c");
  const RecurrentResult result = RunLstm(call.lo(), call.Tensor("x"), problem);
  return std::vector<TensorRef>{Output(call, result), result.hidden,
                                result.cell};
}

MilResult Gru(const MilCall& call) {
  GruProblem problem;
  problem.weights = Weights(call, "");
  problem.weights.bias = call.OptionalTensor("input_bias");
  problem.recursion_bias = call.OptionalTensor("bias");
  problem.hidden = call.Tensor("initial_h");
  problem.direction = DirectionOf(call);
  problem.gate = ActivationInput(call, "recurrent_activation", "sigmoid");
  problem.output = ActivationInput(call, "activation", "tanh");
  problem.reset_after = call.Flag("reset_after", false);
  const RecurrentResult result = RunGru(call.lo(), call.Tensor("x"), problem);
  return std::vector<TensorRef>{Output(call, result), result.hidden};
}

MilResult Rnn(const MilCall& call) {
  const RnnProblem problem = {Weights(call, ""), call.Tensor("initial_h"),
                              DirectionOf(call),
                              ActivationInput(call, "activation", "tanh")};
  const RecurrentResult result = RunRnn(call.lo(), call.Tensor("x"), problem);
  return std::vector<TensorRef>{Output(call, result), result.hidden};
}

constexpr MilOp kOps[] = {{"gru", Gru}, {"lstm", Lstm}, {"rnn", Rnn}};

}  // namespace

std::span<const MilOp> RecurrentOps() { return kOps; }

}  // namespace tl::coreml
