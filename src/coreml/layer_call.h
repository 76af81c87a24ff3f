// One layer of a NeuralNetwork about to be built: its inputs, its weights, and
// the way to MIL operations that do the same. Source: NeuralNetwork.proto of the
// CoreML specification.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "coreml/mil_call.h"
#include "format/coreml.h"

namespace tl::coreml {

// A list of a message.
template <class List>
std::vector<int64_t> ListOf(const List& list) {
  return {list.begin(), list.end()};
}

class LayerCall {
 public:
  LayerCall(Host& host, const CoreMl& coreml, const spec::Layer& layer,
            std::vector<TensorRef> inputs, bool rank5)
      : host_(host),
        coreml_(coreml),
        layer_(layer),
        inputs_(std::move(inputs)),
        rank5_(rank5) {}

  Host& host() const { return host_; }
  Builder& lo() const { return host_.builder(); }
  const spec::Layer& layer() const { return layer_; }
  // Whether tensors are [sequence, batch, channel, height, width].
  bool rank5() const { return rank5_; }
  size_t outputs() const { return size_t(layer_.output_size()); }

  const std::vector<TensorRef>& inputs() const { return inputs_; }
  // Input `i`; fails where the layer has fewer.
  const TensorRef& x(size_t i = 0) const;
  // In Host::dtype(); null where the layer has no such weights.
  TensorRef Weight(const spec::WeightParams& weights) const;
  TensorRef WeightOf(const spec::WeightParams& weights,
                     std::span<const int64_t> shape) const;

  // An axis of x(), counted from its end if negative.
  int Axis(int64_t axis) const { return AxisOf(axis, x()->rank()); }

  // What the MIL operation of this name makes of these inputs.
  struct Input {
    Input(std::string_view name, TensorRef tensor)
        : name(name), values{Value(std::move(tensor))} {}
    Input(std::string_view name, std::string_view text)
        : name(name), values{Value::Text(std::string(text))} {}
    Input(std::string_view name, const std::vector<TensorRef>& tensors)
        : name(name), values(tensors.begin(), tensors.end()) {}

    std::string_view name;
    std::vector<Value> values;
  };
  MilResult Mil(std::string_view operation,
                std::initializer_list<Input> inputs) const;

  Input Int(std::string_view name, int64_t value) const;
  Input Flag(std::string_view name, bool value) const;
  Input Number(std::string_view name, double value) const;
  template <class List>
  Input Ints(std::string_view name, const List& values) const {
    return {name, IntVector(host_, ListOf(values))};
  }

 private:
  Host& host_;
  const CoreMl& coreml_;
  const spec::Layer& layer_;
  std::vector<TensorRef> inputs_;
  bool rank5_;
};

using LayerFunction = MilResult (*)(const LayerCall&);

// By the layer's kind; null for one that does not run here.
LayerFunction FindLayerFunction(spec::Layer::KindCase kind);

struct LayerOp {
  spec::Layer::KindCase kind;
  LayerFunction function;
};

std::span<const LayerOp> NetLayers();          // layers_nets.cc
std::span<const LayerOp> NormLayers();         // layers_norms.cc
std::span<const LayerOp> WindowLayers();       // layers_windows.cc
std::span<const LayerOp> ImageLayers();        // layers_images.cc
std::span<const LayerOp> ElementwiseLayers();  // layers_elementwise.cc
std::span<const LayerOp> ReduceLayers();       // layers_reduce.cc
std::span<const LayerOp> ShapeLayers();        // layers_shape.cc
std::span<const LayerOp> ConstantLayers();     // layers_constants.cc
std::span<const LayerOp> IndexLayers();        // layers_index.cc
std::span<const LayerOp> RecurrentLayers();    // layers_recurrent.cc
std::span<const LayerOp> RandomLayers();       // layers_random.cc

// An activation function as a layer or a recurrent layer has it.
TensorRef Activate(const LayerCall& call, const spec::Activation& activation,
                   const TensorRef& x);

}  // namespace tl::coreml
