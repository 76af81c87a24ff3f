// The layers of a neural network in a CoreML model: what each kind is called,
// and which of its fields hold numbers, under which name and in which shape.
// Where the numbers lie and how they are decoded is format/layer_weights.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/coreml.pb.h"

namespace tl {

struct LayerWeights {
  std::string name;  // within the layer: "weights", "forward.input_gate_…"
  const coreml::spec::WeightParams* numbers = nullptr;
  // Nothing where the layer does not say it: a vector of all there are.
  std::optional<std::vector<int64_t>> shape;
  int channel_axis = 0;  // along which linear quantisation has a scale each
};

// Those that the layer's message has, filled or not. Networks inside the layer
// (branch, loop) are not entered.
std::vector<LayerWeights> WeightsOf(const coreml::spec::Layer& layer);

}  // namespace tl
