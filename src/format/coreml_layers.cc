#include "format/coreml_layers.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace tl {
namespace {

using namespace coreml::spec;
using Shape = std::vector<int64_t>;

// Sizes stand in the file unsigned; one above 2^63 becomes negative here, and
// is refused with the shape.
int64_t Size(uint64_t size) { return static_cast<int64_t>(size); }

template <class Sizes>
Shape ShapeOf(const Sizes& sizes) {
  Shape shape;
  for (const uint64_t size : sizes) shape.push_back(Size(size));
  return shape;
}

int64_t AtLeastOne(uint64_t count) { return count == 0 ? 1 : Size(count); }

class List {
 public:
  void Add(std::string_view name, const WeightParams& numbers,
           std::optional<Shape> shape, int channel_axis = 0) {
    list_.push_back({prefix_ + std::string(name), &numbers, std::move(shape),
                     channel_axis});
  }
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }
  std::vector<LayerWeights> Finish() { return std::move(list_); }

 private:
  std::string prefix_;
  std::vector<LayerWeights> list_;
};

void Add(const Convolution& layer, List& list) {
  const int64_t outputs = Size(layer.output_channels());
  const int64_t inputs = Size(layer.kernel_channels());
  Shape kernel = ShapeOf(layer.kernel_size());
  if (kernel.empty()) kernel = {3, 3};
  const bool reversed = layer.is_deconvolution();
  Shape shape = reversed ? Shape{inputs, outputs / AtLeastOne(layer.n_groups())}
                         : Shape{outputs, inputs};
  shape.insert(shape.end(), kernel.begin(), kernel.end());
  list.Add("weights", layer.weights(), shape, reversed ? 1 : 0);
  list.Add("bias", layer.bias(), Shape{outputs});
}

void Add(const Convolution3d& layer, List& list) {
  const int64_t groups = std::max(layer.n_groups(), 1);
  const int64_t outputs = layer.output_channels();
  const int64_t inputs = layer.input_channels();
  const bool reversed = layer.is_deconvolution();
  Shape shape = reversed ? Shape{inputs, outputs / groups}
                         : Shape{outputs, inputs / groups};
  for (const int size :
       {layer.kernel_depth(), layer.kernel_height(), layer.kernel_width()}) {
    shape.push_back(std::max(size, 1));
  }
  list.Add("weights", layer.weights(), shape, reversed ? 1 : 0);
  list.Add("bias", layer.bias(), Shape{outputs});
}

void AddMatrix(int64_t rows, int64_t columns, const WeightParams& weights,
               const WeightParams& bias, List& list) {
  list.Add("weights", weights, Shape{rows, columns});
  list.Add("bias", bias, Shape{rows});
}

void Add(const Batchnorm& layer, List& list) {
  const Shape shape{Size(layer.channels())};
  list.Add("gamma", layer.gamma(), shape);
  list.Add("beta", layer.beta(), shape);
  list.Add("mean", layer.mean(), shape);
  list.Add("variance", layer.variance(), shape);
}

void Add(const Activation& activation, List& list) {
  if (activation.has_prelu()) {
    list.Add("alpha", activation.prelu().alpha(), std::nullopt);
  } else if (activation.has_parametric_softplus()) {
    list.Add("alpha", activation.parametric_softplus().alpha(), std::nullopt);
    list.Add("beta", activation.parametric_softplus().beta(), std::nullopt);
  }
}

// Of the gates of a recurrent layer, in the order of the file.
template <class Activations>
void AddActivations(const Activations& activations, const std::string& prefix,
                    List& list) {
  int i = 0;
  for (const Activation& activation : activations) {
    list.set_prefix(fmt::format("{}activation{}.", prefix, i++));
    Add(activation, list);
  }
  list.set_prefix("");
}

void Add(const SimpleRecurrent& layer, List& list) {
  const int64_t inputs = Size(layer.input_vector_size());
  const int64_t outputs = Size(layer.output_vector_size());
  list.Add("weight_matrix", layer.weight_matrix(), Shape{outputs, inputs});
  list.Add("recursion_matrix", layer.recursion_matrix(),
           Shape{outputs, outputs});
  list.Add("bias_vector", layer.bias_vector(), Shape{outputs});
  list.set_prefix("activation.");
  Add(layer.activation(), list);
}

void Add(const Gru& layer, List& list) {
  const int64_t inputs = Size(layer.input_vector_size());
  const int64_t outputs = Size(layer.output_vector_size());
  const Shape weight{outputs, inputs}, square{outputs, outputs}, bias{outputs};
  list.Add("update_gate_weight_matrix", layer.update_gate_weight_matrix(),
           weight);
  list.Add("reset_gate_weight_matrix", layer.reset_gate_weight_matrix(),
           weight);
  list.Add("output_gate_weight_matrix", layer.output_gate_weight_matrix(),
           weight);
  list.Add("update_gate_recursion_matrix", layer.update_gate_recursion_matrix(),
           square);
  list.Add("reset_gate_recursion_matrix", layer.reset_gate_recursion_matrix(),
           square);
  list.Add("output_gate_recursion_matrix", layer.output_gate_recursion_matrix(),
           square);
  list.Add("update_gate_bias_vector", layer.update_gate_bias_vector(), bias);
  list.Add("reset_gate_bias_vector", layer.reset_gate_bias_vector(), bias);
  list.Add("output_gate_bias_vector", layer.output_gate_bias_vector(), bias);
  AddActivations(layer.activations(), "", list);
}

void Add(const LstmWeights& w, int64_t inputs, int64_t outputs, List& list) {
  const Shape weight{outputs, inputs}, square{outputs, outputs}, bias{outputs};
  list.Add("input_gate_weight_matrix", w.input_gate_weight_matrix(), weight);
  list.Add("forget_gate_weight_matrix", w.forget_gate_weight_matrix(), weight);
  list.Add("block_input_weight_matrix", w.block_input_weight_matrix(), weight);
  list.Add("output_gate_weight_matrix", w.output_gate_weight_matrix(), weight);
  list.Add("input_gate_recursion_matrix", w.input_gate_recursion_matrix(),
           square);
  list.Add("forget_gate_recursion_matrix", w.forget_gate_recursion_matrix(),
           square);
  list.Add("block_input_recursion_matrix", w.block_input_recursion_matrix(),
           square);
  list.Add("output_gate_recursion_matrix", w.output_gate_recursion_matrix(),
           square);
  list.Add("input_gate_bias_vector", w.input_gate_bias_vector(), bias);
  list.Add("forget_gate_bias_vector", w.forget_gate_bias_vector(), bias);
  list.Add("block_input_bias_vector", w.block_input_bias_vector(), bias);
  list.Add("output_gate_bias_vector", w.output_gate_bias_vector(), bias);
  list.Add("input_gate_peephole_vector", w.input_gate_peephole_vector(), bias);
  list.Add("forget_gate_peephole_vector", w.forget_gate_peephole_vector(),
           bias);
  list.Add("output_gate_peephole_vector", w.output_gate_peephole_vector(),
           bias);
}

void Add(const BidirectionalLstm& layer, List& list) {
  for (int i = 0; i < layer.weight_params_size(); ++i) {
    constexpr std::string_view kDirections[] = {"forward.", "backward."};
    list.set_prefix(i < 2 ? std::string(kDirections[i])
                          : fmt::format("direction{}.", i));
    Add(layer.weight_params(i), Size(layer.input_vector_size()),
        Size(layer.output_vector_size()), list);
  }
  AddActivations(layer.activations_forward_lstm(), "forward.", list);
  AddActivations(layer.activations_backward_lstm(), "backward.", list);
}

void Add(const BatchedMatmul& layer, List& list) {
  const int64_t first = Size(layer.weight_matrix_first_dimension());
  const int64_t second = Size(layer.weight_matrix_second_dimension());
  list.Add("weights", layer.weights(), Shape{second, first});
  list.Add("bias", layer.bias(), Shape{second});
}

void Add(const Custom& layer, List& list) {
  for (int i = 0; i < layer.weights_size(); ++i) {
    list.Add(fmt::format("weights{}", i), layer.weights(i), std::nullopt);
  }
}

}  // namespace

std::vector<LayerWeights> WeightsOf(const Layer& layer) {
  List list;
  // All kinds without numbers are the default.
  if (layer.has_convolution()) {
    Add(layer.convolution(), list);
  } else if (layer.has_convolution_3d()) {
    Add(layer.convolution_3d(), list);
  } else if (layer.has_activation()) {
    Add(layer.activation(), list);
  } else if (layer.has_inner_product()) {
    const InnerProduct& p = layer.inner_product();
    AddMatrix(Size(p.output_channels()), Size(p.input_channels()), p.weights(),
              p.bias(), list);
  } else if (layer.has_embedding()) {
    const Embedding& p = layer.embedding();
    AddMatrix(Size(p.output_channels()), Size(p.input_dim()), p.weights(),
              p.bias(), list);
  } else if (layer.has_embedding_nd()) {
    const EmbeddingNd& p = layer.embedding_nd();
    AddMatrix(Size(p.embedding_size()), Size(p.vocab_size()), p.weights(),
              p.bias(), list);
  } else if (layer.has_batched_matmul()) {
    Add(layer.batched_matmul(), list);
  } else if (layer.has_batchnorm()) {
    Add(layer.batchnorm(), list);
  } else if (layer.has_layer_normalization()) {
    const LayerNormalization& p = layer.layer_normalization();
    list.Add("gamma", p.gamma(), ShapeOf(p.normalized_shape()));
    list.Add("beta", p.beta(), ShapeOf(p.normalized_shape()));
  } else if (layer.has_scale()) {
    const Scale& p = layer.scale();
    list.Add("scale", p.scale(), ShapeOf(p.shape_scale()));
    list.Add("bias", p.bias(), ShapeOf(p.shape_bias()));
  } else if (layer.has_bias()) {
    list.Add("bias", layer.bias().bias(), ShapeOf(layer.bias().shape()));
  } else if (layer.has_load_constant()) {
    const LoadConstant& p = layer.load_constant();
    list.Add("data", p.data(), ShapeOf(p.shape()));
  } else if (layer.has_load_constant_nd()) {
    const LoadConstant& p = layer.load_constant_nd();
    list.Add("data", p.data(), ShapeOf(p.shape()));
  } else if (layer.has_simple_recurrent()) {
    Add(layer.simple_recurrent(), list);
  } else if (layer.has_gru()) {
    Add(layer.gru(), list);
  } else if (layer.has_uni_directional_lstm()) {
    const Lstm& p = layer.uni_directional_lstm();
    Add(p.weight_params(), Size(p.input_vector_size()),
        Size(p.output_vector_size()), list);
    AddActivations(p.activations(), "", list);
  } else if (layer.has_bi_directional_lstm()) {
    Add(layer.bi_directional_lstm(), list);
  } else if (layer.has_custom()) {
    Add(layer.custom(), list);
  }
  return list.Finish();
}

}  // namespace tl
