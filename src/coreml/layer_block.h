// The layers of a network ready to run, in their order, with the networks
// nested in loops and branches. Their values are visible in the whole network,
// as the format has it. Refuses kinds of layer that do not run here, and
// control flow that makes no sense.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "coreml/layer_call.h"

namespace tl::coreml {

struct LayerBlock;

struct LayerStep {
  const spec::Layer* layer = nullptr;
  LayerFunction function = nullptr;  // null for control flow
  // Of a branch for true and for false, of a loop the condition and the body;
  // empty where the model has none.
  std::vector<LayerBlock> blocks;
  // Names that nobody reads after it.
  std::vector<std::string> released;
};

struct LayerBlock {
  std::vector<LayerStep> steps;
};

// `outputs`: the names that are read once all has run.
LayerBlock CompileLayers(const spec::NeuralNetwork& network,
                         const std::set<std::string>& outputs);

// "layer 'conv1' (convolution)"
std::string Describe(const spec::Layer& layer);

}  // namespace tl::coreml
