#include "coreml/recurrent.h"

#include <algorithm>

#include "base/error.h"
#include "coreml/compose.h"

namespace tl::coreml {
namespace {

int64_t StepsOf(const TensorRef& x) { return x->shape().dim(0); }

void RequireShapes(const TensorRef& x, const TensorRef& state,
                   const RecurrentWeights& w, int64_t gates) {
  const bool ranks = x->rank() == 3 && state->rank() == 2 &&
                     w.input->rank() == 2 && w.recursion->rank() == 2;
  const bool fits =
      ranks && x->shape().dim(0) > 0 &&
      x->shape().dim(1) == state->shape().dim(0) &&
      x->shape().dim(2) == w.input->shape().dim(1) &&
      w.input->shape().dim(0) == gates * state->shape().dim(1) &&
      w.recursion->shape().dim(0) == gates * state->shape().dim(1) &&
      w.recursion->shape().dim(1) == state->shape().dim(1);
  if (!fits) {
    Fail(ErrorKind::kInput,
         "a sequence of shape {} and a state of shape {} with weights of shapes "
         "{} and {}",
         x->shape().ToString(), state->shape().ToString(),
         w.input->shape().ToString(), w.recursion->shape().ToString());
  }
}

// x @ w.T in float32: what follows rounds once.
TensorRef Product(Lowering& lo, const TensorRef& x, const TensorRef& w) {
  return ExactProduct(lo, x, SwapAxes(lo, w, 0, 1));
}

// The inputs' share of every gate, [steps, batch, gates * hidden] in float32.
TensorRef InputShare(Lowering& lo, const TensorRef& x,
                     const RecurrentWeights& w) {
  const TensorRef share = Product(lo, x, w.input);
  return w.bias ? Binary(lo, OpId::Add, share, w.bias) : share;
}

TensorRef Step(Lowering& lo, const TensorRef& share, int64_t step) {
  return WithoutAxes(lo, Slice(lo, share, 0, step, 1), {0});
}

// Gate number i of [batch, gates * hidden].
TensorRef Gate(Lowering& lo, const TensorRef& gates, int64_t i,
               int64_t hidden) {
  return Slice(lo, gates, 1, i * hidden, hidden);
}

// Part i of a vector of several, or null.
TensorRef Part(Lowering& lo, const TensorRef& v, int64_t i, int64_t hidden) {
  return v ? Slice(lo, v, 0, i * hidden, hidden) : v;
}

// Calls step(t) for every step in the order of the direction, and keeps what it
// returns in the order of the sequence.
std::vector<TensorRef> OverSteps(int64_t steps, Direction direction,
                                 const std::function<TensorRef(int64_t)>& step) {
  std::vector<TensorRef> sequence(static_cast<size_t>(steps));
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t t = direction == Direction::kForward ? i : steps - 1 - i;
    sequence[t] = step(t);
  }
  return sequence;
}

}  // namespace

RecurrentResult RunLstm(Lowering& lo, const TensorRef& x,
                        const LstmProblem& p) {
  RequireShapes(x, p.hidden, p.weights, 4);
  const int64_t n = p.hidden->shape().dim(1);
  const DType dtype = x->dtype();
  const TensorRef share = InputShare(lo, x, p.weights);
  RecurrentResult result;
  result.hidden = p.hidden;
  // The cell stays in float32 between steps: it is the layer's accumulator.
  result.cell = Cast(lo, p.cell, DType::F32);
  const auto peep = [&](const TensorRef& gate, int64_t i,
                        const TensorRef& cell) {
    const TensorRef w = Part(lo, p.peephole, i, n);
    return w ? Binary(lo, OpId::Add, gate, Binary(lo, OpId::Mul, cell, w))
             : gate;
  };
  result.sequence = OverSteps(StepsOf(x), p.direction, [&](int64_t t) {
    const TensorRef all =
        Binary(lo, OpId::Add, Step(lo, share, t),
               Product(lo, result.hidden, p.weights.recursion));
    const TensorRef in = p.gate(lo, peep(Gate(lo, all, 0, n), 0, result.cell));
    const TensorRef forget =
        p.coupled ? From(lo, OpId::Sub, 1, in)
                  : p.gate(lo, peep(Gate(lo, all, 1, n), 1, result.cell));
    const TensorRef block = p.cell_input(lo, Gate(lo, all, 3, n));
    result.cell = Binary(lo, OpId::Add, Binary(lo, OpId::Mul, forget, result.cell),
                         Binary(lo, OpId::Mul, in, block));
    if (p.clip > 0) result.cell = ClampTo(lo, result.cell, -p.clip, p.clip);
    const TensorRef out =
        p.gate(lo, peep(Gate(lo, all, 2, n), 2, result.cell));
    result.hidden = Cast(
        lo, Binary(lo, OpId::Mul, out, p.output(lo, result.cell)), dtype);
    return result.hidden;
  });
  result.cell = Cast(lo, result.cell, dtype);
  return result;
}

RecurrentResult RunGru(Lowering& lo, const TensorRef& x, const GruProblem& p) {
  RequireShapes(x, p.hidden, p.weights, 3);
  const int64_t n = p.hidden->shape().dim(1);
  const TensorRef share = InputShare(lo, x, p.weights);
  RecurrentResult result;
  result.hidden = p.hidden;
  const TensorRef& w = p.weights.recursion;
  const TensorRef first = Slice(lo, w, 0, 0, 2 * n),
                  last = Slice(lo, w, 0, 2 * n, n);
  const auto biased = [&](const TensorRef& y, int64_t begin, int64_t count) {
    return p.recursion_bias
               ? Binary(lo, OpId::Add, y,
                        Slice(lo, p.recursion_bias, 0, begin * n, count * n))
               : y;
  };
  result.sequence = OverSteps(StepsOf(x), p.direction, [&](int64_t t) {
    const TensorRef in = Step(lo, share, t), h = result.hidden;
    const TensorRef both =
        Binary(lo, OpId::Add, Slice(lo, in, 1, 0, 2 * n),
               biased(Product(lo, h, first), 0, 2));
    const TensorRef reset = p.gate(lo, Gate(lo, both, 0, n));
    const TensorRef update = p.gate(lo, Gate(lo, both, 1, n));
    const TensorRef past =
        p.reset_after
            ? Binary(lo, OpId::Mul, reset, biased(Product(lo, h, last), 2, 1))
            : biased(Product(lo, Binary(lo, OpId::Mul, reset, h), last), 2, 1);
    const TensorRef fresh =
        p.output(lo, Binary(lo, OpId::Add, Gate(lo, in, 2, n), past));
    const TensorRef mixed = Binary(
        lo, OpId::Add, Binary(lo, OpId::Mul, From(lo, OpId::Sub, 1, update), fresh),
        Binary(lo, OpId::Mul, update, h));
    result.hidden = Cast(lo, mixed, x->dtype());
    return result.hidden;
  });
  return result;
}

RecurrentResult RunRnn(Lowering& lo, const TensorRef& x, const RnnProblem& p) {
  RequireShapes(x, p.hidden, p.weights, 1);
  const TensorRef share = InputShare(lo, x, p.weights);
  RecurrentResult result;
  result.hidden = p.hidden;
  result.sequence = OverSteps(StepsOf(x), p.direction, [&](int64_t t) {
    const TensorRef sum =
        Binary(lo, OpId::Add, Step(lo, share, t),
               Product(lo, result.hidden, p.weights.recursion));
    result.hidden = Cast(lo, p.output(lo, sum), x->dtype());
    return result.hidden;
  });
  return result;
}

TensorRef StackSteps(Lowering& lo, const std::vector<TensorRef>& steps) {
  std::vector<TensorRef> rows;
  for (const TensorRef& step : steps) rows.push_back(Unsqueeze(lo, step, 0));
  return Concat(lo, rows, 0);
}

}  // namespace tl::coreml
