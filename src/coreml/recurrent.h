// LSTM, GRU and plain recurrent layers over a sequence, for MIL operations and
// NeuralNetwork layers. The inputs of all steps are multiplied as one product;
// then each step is one small product and some elementwise work.
// Shapes: x [steps, batch, in], states [batch, hidden].
#pragma once

#include <functional>
#include <vector>

#include "ops/build.h"

namespace tl::coreml {

using Activation = std::function<TensorRef(Lowering&, const TensorRef&)>;

enum class Direction { kForward, kReverse };

struct RecurrentWeights {
  TensorRef input;      // [gates * hidden, in]
  TensorRef recursion;  // [gates * hidden, hidden]
  TensorRef bias;       // [gates * hidden], or null
};

// States after every step, in the order of the sequence, and after the last.
struct RecurrentResult {
  std::vector<TensorRef> sequence;  // each [batch, hidden]
  TensorRef hidden;
  TensorRef cell;  // LSTM only
};

// Gates in the order input, forget, output, cell (Hochreiter and Schmidhuber
// 1997, with the forget gate of Gers et al. 2000).
struct LstmProblem {
  RecurrentWeights weights;
  TensorRef peephole;  // [3 * hidden]: input, forget, output; or null
  TensorRef hidden, cell;
  Direction direction = Direction::kForward;
  Activation gate, cell_input, output;
  double clip = 0;  // of the cell; 0: none
  bool coupled = false;  // the forget gate is 1 - the input gate
};
RecurrentResult RunLstm(Lowering& lo, const TensorRef& x,
                        const LstmProblem& problem);

// Gates in the order reset, update, output (Cho et al. 2014).
struct GruProblem {
  RecurrentWeights weights;
  TensorRef recursion_bias;  // [3 * hidden], added to the recursion; or null
  TensorRef hidden;
  Direction direction = Direction::kForward;
  Activation gate, output;
  // Whether the reset gate comes after the recursion's product (PyTorch, cuDNN)
  // or before it.
  bool reset_after = false;
};
RecurrentResult RunGru(Lowering& lo, const TensorRef& x,
                       const GruProblem& problem);

struct RnnProblem {
  RecurrentWeights weights;
  TensorRef hidden;
  Direction direction = Direction::kForward;
  Activation output;
};
RecurrentResult RunRnn(Lowering& lo, const TensorRef& x,
                       const RnnProblem& problem);

// [steps, batch, hidden]
TensorRef StackSteps(Lowering& lo, const std::vector<TensorRef>& steps);

}  // namespace tl::coreml
