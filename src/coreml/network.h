// A NeuralNetwork model ready to run: its layers, one after the other and in
// loops and branches, onto the host's graph. Networks with the older array
// mapping see every input as [sequence, batch, channel, height, width]; others
// as it is described.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "coreml/feature.h"
#include "coreml/layer_block.h"

namespace tl::coreml {

class Network {
 public:
  // `network` is of `member`, both of `coreml`. Fails as MilProgram does for
  // layers that do not run here.
  Network(const CoreMl& coreml, const spec::NeuralNetwork& network,
          const spec::Model& member, Host& host);

  using Results = std::vector<std::pair<std::string, Value>>;

  // One tensor for each input of the model, in their order; the outputs by name,
  // the first of a name being the one that is meant.
  Results Run(std::vector<TensorRef> inputs);

 private:
  using Values = std::unordered_map<std::string, TensorRef>;

  TensorRef Preprocessed(const Feature& input, const TensorRef& x) const;
  TensorRef Mapped(const Feature& input, const TensorRef& x) const;
  TensorRef AsDescribed(const Feature& output, const TensorRef& x) const;

  // Where control goes after a step.
  enum class Flow { kNext, kBreak, kContinue };
  Flow RunBlock(const LayerBlock& block, Values& values) const;
  Flow RunStep(const LayerStep& step, Values& values) const;
  Flow RunBranch(const LayerStep& step, Values& values) const;
  void RunLoop(const LayerStep& step, Values& values) const;
  void RunLayer(const LayerStep& step, Values& values) const;
  std::vector<TensorRef> InputsOfLayer(const spec::Layer& layer,
                                       const Values& values) const;

  void AddLabels(const Values& values, Results& results) const;
  std::string ProbabilityName() const;
  std::set<std::string> Kept() const;

  const CoreMl& coreml_;
  const spec::NeuralNetwork& network_;
  const spec::ModelDescription& description_;
  Host& host_;
  std::vector<Feature> inputs_, outputs_;
  bool rank5_;
  LayerBlock layers_;
};

}  // namespace tl::coreml
