// Recurrent layers: sequences are [steps, batch, features, 1, 1], states
// [1, batch, hidden, 1, 1].
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/layer_call.h"
#include "coreml/recurrent.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

TensorRef Matrix(const LayerCall& call, int64_t rows, int64_t columns,
                 std::initializer_list<const spec::WeightParams*> gates) {
  std::vector<TensorRef> parts;
  for (const spec::WeightParams* weights : gates) {
    const std::vector<int64_t> shape = {rows, columns};
    const TensorRef w = call.WeightOf(*weights, shape);
    if (!w) Fail(ErrorKind::kInput, "the layer has no weights for a gate");
    parts.push_back(w);
  }
  return Concat(call.lo(), parts, 0);
}

TensorRef Vector(const LayerCall& call,
                 std::initializer_list<const spec::WeightParams*> gates) {
  std::vector<TensorRef> parts;
  for (const spec::WeightParams* weights : gates) {
    const TensorRef w = call.Weight(*weights);
    if (!w) Fail(ErrorKind::kInput, "the layer has no vector for a gate");
    parts.push_back(Reshape(call.lo(), w, Shape{w->shape().size()}));
  }
  return Concat(call.lo(), parts, 0);
}

template <class AlphaBeta>
void SetUnlessGiven(AlphaBeta& numbers, float alpha, float beta) {
  if (numbers.alpha() != 0 || numbers.beta() != 0) return;
  numbers.set_alpha(alpha);
  numbers.set_beta(beta);
}

// What an activation of a recurrent layer does: the format has one pair of
// numbers for each kind there, which a model need not write.
Activation Function(const LayerCall& call, spec::Activation activation) {
  if (activation.has_linear()) {
    SetUnlessGiven(*activation.mutable_linear(), 1, 0);
  } else if (activation.has_sigmoid_hard()) {
    SetUnlessGiven(*activation.mutable_sigmoid_hard(), 0.2f, 0.5f);
  } else if (activation.has_scaled_tanh()) {
    SetUnlessGiven(*activation.mutable_scaled_tanh(), 1.7159f, 2 / 3.0f);
  }
  return [&call, activation](Lowering&, const TensorRef& x) {
    return Activate(call, activation, x);
  };
}

// The format limits what gates see.
constexpr double kGateLimit = 50;

Activation Limited(const LayerCall& call, const spec::Activation& activation) {
  return [f = Function(call, activation)](Lowering& lo, const TensorRef& x) {
    return f(lo, ClampTo(lo, x, -kGateLimit, kGateLimit));
  };
}

// 1 for the forget gate, 0 for the others.
TensorRef ForgetOnly(const LayerCall& call, int64_t hidden) {
  Builder& lo = call.lo();
  const TensorRef ones =
      BroadcastTo(lo, lo.Number(1, DType::F32), Shape{hidden});
  const TensorRef zeros = With(lo, OpId::Mul, ones, 0);
  return Concat(lo, {zeros, ones, zeros, zeros}, 0);
}

// The format's own limit of a cell, unless a layer has another.
constexpr double kCellLimit = 50;

struct LstmLayer {
  int64_t in, hidden;
  const spec::LstmParams& params;
};

template <class Activations>
LstmProblem ProblemOf(const LayerCall& call, const LstmLayer& layer,
                      const spec::LstmWeights& w,
                      const Activations& activations) {
  if (activations.size() != 3) {
    Fail(ErrorKind::kInput, "{} activations; expected 3", activations.size());
  }
  LstmProblem problem;
  problem.weights.input =
      Matrix(call, layer.hidden, layer.in,
             {&w.input_gate_weight_matrix(), &w.forget_gate_weight_matrix(),
              &w.output_gate_weight_matrix(), &w.block_input_weight_matrix()});
  problem.weights.recursion = Matrix(
      call, layer.hidden, layer.hidden,
      {&w.input_gate_recursion_matrix(), &w.forget_gate_recursion_matrix(),
       &w.output_gate_recursion_matrix(), &w.block_input_recursion_matrix()});
  if (layer.params.with_bias_vectors()) {
    problem.weights.bias = Vector(
        call, {&w.input_gate_bias_vector(), &w.forget_gate_bias_vector(),
               &w.output_gate_bias_vector(), &w.block_input_bias_vector()});
  }
  if (layer.params.forget_bias()) {
    TensorRef& bias = problem.weights.bias;
    const TensorRef one = ForgetOnly(call, layer.hidden);
    bias = bias ? Binary(call.lo(), OpId::Add, bias, one) : one;
  }
  if (layer.params.with_peephole_vectors()) {
    problem.peephole = Vector(call, {&w.input_gate_peephole_vector(),
                                     &w.forget_gate_peephole_vector(),
                                     &w.output_gate_peephole_vector()});
  }
  problem.gate = Limited(call, activations[0]);
  problem.cell_input = Limited(call, activations[1]);
  problem.output = Function(call, activations[2]);
  problem.coupled = layer.params.coupled_input_and_forget_gate();
  const double clip = layer.params.cell_clip_threshold();
  problem.clip = clip == 0 ? kCellLimit : clip;
  return problem;
}

TensorRef Sequence(const LayerCall& call) {
  const TensorRef& x = call.x();
  const int64_t features =
      x->rank() == 5 ? x->shape().dim(2) * x->shape().dim(3) * x->shape().dim(4)
                     : 0;
  if (features == 0) {
    Fail(ErrorKind::kInput,
         "a sequence of shape {}; expected "
         "[steps, batch, features, 1, 1]",
         x->shape().ToString());
  }
  return Reshape(call.lo(), x, Shape{x->shape()[0], x->shape()[1], features});
}

// Input `i` as a state, or zeros where the layer is not given it.
TensorRef State(const LayerCall& call, size_t i, int64_t hidden) {
  const Dim batch = call.x()->shape()[1];
  const Shape shape{batch, hidden};
  if (i < call.inputs().size()) {
    return Reshape(call.lo(), call.x(i), shape);
  }
  const TensorRef zero =
      Cast(call.lo(), call.lo().Number(0, DType::F32), call.host().dtype());
  return BroadcastTo(call.lo(), zero, shape);
}

TensorRef WithPixel(const LayerCall& call, const TensorRef& x) {
  Shape shape = x->shape();
  if (shape.rank() == 2) shape.Insert(0, 1);
  shape.Append(1);
  shape.Append(1);
  return Reshape(call.lo(), x, shape);
}

TensorRef Output(const LayerCall& call, bool sequence,
                 const RecurrentResult& result) {
  return sequence ? StackSteps(call.lo(), result.sequence)
                  : Unsqueeze(call.lo(), result.hidden, 0);
}

template <class Layer>
Direction DirectionOf(const Layer& layer) {
  return layer.reverse_input() ? Direction::kReverse : Direction::kForward;
}

// The output and the last state.
MilResult WithState(const LayerCall& call, bool sequence,
                    const RecurrentResult& result) {
  return std::vector<TensorRef>{WithPixel(call, Output(call, sequence, result)),
                                WithPixel(call, result.hidden)};
}

MilResult UniDirectional(const LayerCall& call) {
  const spec::Lstm& spec = call.layer().uni_directional_lstm();
  const LstmLayer layer = {int64_t(spec.input_vector_size()),
                           int64_t(spec.output_vector_size()), spec.params()};
  LstmProblem problem =
      ProblemOf(call, layer, spec.weight_params(), spec.activations());
  problem.hidden = State(call, 1, layer.hidden);
  problem.cell = State(call, 2, layer.hidden);
  problem.direction = DirectionOf(spec);
  const RecurrentResult result = RunLstm(call.lo(), Sequence(call), problem);
  return std::vector<TensorRef>{
      WithPixel(call, Output(call, layer.params.sequence_output(), result)),
      WithPixel(call, result.hidden), WithPixel(call, result.cell)};
}

MilResult BiDirectional(const LayerCall& call) {
  const spec::BidirectionalLstm& spec = call.layer().bi_directional_lstm();
  if (spec.weight_params_size() != 2) {
    Fail(ErrorKind::kInput, "weights for {} directions; expected 2",
         spec.weight_params_size());
  }
  const LstmLayer layer = {int64_t(spec.input_vector_size()),
                           int64_t(spec.output_vector_size()), spec.params()};
  const TensorRef x = Sequence(call);
  std::vector<TensorRef> outputs, states;
  for (const bool back : {false, true}) {
    LstmProblem problem = ProblemOf(call, layer, spec.weight_params(back),
                                    back ? spec.activations_backward_lstm()
                                         : spec.activations_forward_lstm());
    problem.direction = back ? Direction::kReverse : Direction::kForward;
    problem.hidden = State(call, back ? 3 : 1, layer.hidden);
    problem.cell = State(call, back ? 4 : 2, layer.hidden);
    const RecurrentResult result = RunLstm(call.lo(), x, problem);
    outputs.push_back(Output(call, layer.params.sequence_output(), result));
    states.push_back(WithPixel(call, result.hidden));
    states.push_back(WithPixel(call, result.cell));
  }
  states.insert(states.begin(), WithPixel(call, Concat(call.lo(), outputs, 2)));
  return states;
}

MilResult GruLayer(const LayerCall& call) {
  const spec::Gru& spec = call.layer().gru();
  const auto in = static_cast<int64_t>(spec.input_vector_size()),
             hidden = static_cast<int64_t>(spec.output_vector_size());
  if (spec.activations_size() != 2) {
    Fail(ErrorKind::kInput, "{} activations; expected 2",
         spec.activations_size());
  }
  GruProblem problem;
  problem.weights.input = Matrix(
      call, hidden, in,
      {&spec.reset_gate_weight_matrix(), &spec.update_gate_weight_matrix(),
       &spec.output_gate_weight_matrix()});
  problem.weights.recursion = Matrix(call, hidden, hidden,
                                     {&spec.reset_gate_recursion_matrix(),
                                      &spec.update_gate_recursion_matrix(),
                                      &spec.output_gate_recursion_matrix()});
  if (spec.with_bias_vectors()) {
    problem.weights.bias = Vector(
        call, {&spec.reset_gate_bias_vector(), &spec.update_gate_bias_vector(),
               &spec.output_gate_bias_vector()});
  }
  problem.hidden = State(call, 1, hidden);
  problem.direction = DirectionOf(spec);
  problem.gate = Limited(call, spec.activations(0));
  problem.output = Limited(call, spec.activations(1));
  const RecurrentResult result = RunGru(call.lo(), Sequence(call), problem);
  return WithState(call, spec.sequence_output(), result);
}

MilResult SimpleLayer(const LayerCall& call) {
  const spec::SimpleRecurrent& spec = call.layer().simple_recurrent();
  const auto in = static_cast<int64_t>(spec.input_vector_size()),
             hidden = static_cast<int64_t>(spec.output_vector_size());
  RnnProblem problem;
  problem.weights.input = Matrix(call, hidden, in, {&spec.weight_matrix()});
  problem.weights.recursion =
      Matrix(call, hidden, hidden, {&spec.recursion_matrix()});
  if (spec.with_bias_vector()) {
    problem.weights.bias = Vector(call, {&spec.bias_vector()});
  }
  problem.hidden = State(call, 1, hidden);
  problem.direction = DirectionOf(spec);
  problem.output = Limited(call, spec.activation());
  const RecurrentResult result = RunRnn(call.lo(), Sequence(call), problem);
  return WithState(call, spec.sequence_output(), result);
}

constexpr LayerOp kLayers[] = {
    {Kind::kBiDirectionalLstm, BiDirectional},
    {Kind::kGru, GruLayer},
    {Kind::kSimpleRecurrent, SimpleLayer},
    {Kind::kUniDirectionalLstm, UniDirectional},
};

}  // namespace

std::span<const LayerOp> RecurrentLayers() { return kLayers; }

}  // namespace tl::coreml
