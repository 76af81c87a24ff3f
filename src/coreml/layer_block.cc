#include "coreml/layer_block.h"

#include <string_view>
#include <unordered_map>

#include "base/error.h"

namespace tl::coreml {
namespace {

using Kind = spec::Layer;

// How often each name stands in some layers, and in what is nested in them.
using Mentions = std::unordered_map<std::string_view, int>;
using Names = std::set<std::string_view>;

struct Compiler {
  const spec::Layer* missing = nullptr;  // the first one
  std::set<std::string> kinds;           // of all that are missing

  enum class Place { kOutside, kInLoop };

  LayerBlock Block(const spec::NeuralNetwork& network, Place place) {
    LayerBlock block;
    for (const spec::Layer& layer : network.layers()) {
      WithNote([&] { block.steps.push_back(Step(layer, place)); },
               [&] { return "at " + Describe(layer); });
    }
    return block;
  }

  LayerStep Step(const spec::Layer& layer, Place place) {
    LayerStep step;
    step.layer = &layer;
    switch (layer.kind_case()) {
      case Kind::kBranch:
        step.blocks = Branch(layer.branch(), place);
        return step;
      case Kind::kLoop:
        step.blocks = Loop(layer);
        return step;
      case Kind::kLoopBreak:
      case Kind::kLoopContinue:
        if (place == Place::kOutside) {
          Fail(ErrorKind::kInput, "a {} stands outside of a loop's body",
               CoreMlLayerKind(layer));
        }
        return step;
      default:
        step.function = FindLayerFunction(layer.kind_case());
    }
    if (!step.function) {
      if (!missing) missing = &layer;
      kinds.insert(CoreMlLayerKind(layer));
    }
    return step;
  }

  std::vector<LayerBlock> Branch(const spec::Branch& branch, Place place) {
    if (!branch.has_if_branch()) {
      Fail(ErrorKind::kInput, "a branch without a network for true");
    }
    return {Block(branch.if_branch(), place),
            Block(branch.else_branch(), place)};
  }

  std::vector<LayerBlock> Loop(const spec::Layer& layer) {
    const spec::Loop& loop = layer.loop();
    if (!loop.has_body_network()) {
      Fail(ErrorKind::kInput, "a loop without a body");
    }
    const bool waits = !loop.condition_var().empty();
    if (waits && !loop.has_condition_network()) {
      Fail(ErrorKind::kInput, "a loop on {} without a condition network",
           QuoteName(loop.condition_var()));
    }
    if (!waits && !loop.condition_network().layers().empty()) {
      Fail(ErrorKind::kInput,
           "a loop's condition network without a condition variable");
    }
    if (!waits && loop.max_loop_iterations() == 0 && layer.input().empty()) {
      Fail(ErrorKind::kInput,
           "a loop with neither a condition nor a number of rounds");
    }
    return {Block(loop.condition_network(), Place::kOutside),
            Block(loop.body_network(), Place::kInLoop)};
  }
};

void CountNames(const LayerBlock& block, Mentions& mentions);

void CountNames(const LayerStep& step, Mentions& mentions) {
  for (const std::string& name : step.layer->input()) ++mentions[name];
  for (const std::string& name : step.layer->output()) ++mentions[name];
  if (step.layer->has_loop()) ++mentions[step.layer->loop().condition_var()];
  for (const LayerBlock& block : step.blocks) CountNames(block, mentions);
}

void CountNames(const LayerBlock& block, Mentions& mentions) {
  for (const LayerStep& step : block.steps) CountNames(step, mentions);
}

// The names that every run of a nested block makes before it reads them.
Names MadeFirst(const LayerBlock& block) {
  Names seen, made;
  for (const LayerStep& step : block.steps) {
    if (step.function) {
      for (const std::string& name : step.layer->input()) seen.insert(name);
      for (const std::string& name : step.layer->output()) {
        if (seen.insert(name).second) made.insert(name);
      }
    } else {
      Mentions inside;
      CountNames(step, inside);
      for (const auto& [name, count] : inside) seen.insert(name);
    }
  }
  return made;
}

// A name is let go of after the last step that has it, but for those in `kept`.
void Release(LayerBlock& block, const Mentions& all, Names kept) {
  for (auto step = block.steps.rbegin(); step != block.steps.rend(); ++step) {
    Mentions mentions;
    CountNames(*step, mentions);
    for (const auto& [name, count] : mentions) {
      if (kept.insert(name).second) step->released.emplace_back(name);
    }
  }
  for (LayerStep& step : block.steps) {
    for (LayerBlock& inner : step.blocks) {
      // What lives beyond one run of the block is not its own to release.
      Mentions mentions;
      CountNames(inner, mentions);
      const Names own = MadeFirst(inner);
      Names others;
      for (const auto& [name, count] : mentions) {
        if (all.at(name) > count || !own.contains(name)) others.insert(name);
      }
      Release(inner, all, std::move(others));
    }
  }
}

}  // namespace

std::string Describe(const spec::Layer& layer) {
  return fmt::format("layer {} ({})", QuoteName(layer.name()),
                     CoreMlLayerKind(layer));
}

LayerBlock CompileLayers(const spec::NeuralNetwork& network,
                         const std::set<std::string>& outputs) {
  Compiler compiler;
  LayerBlock block = compiler.Block(network, Compiler::Place::kOutside);
  if (compiler.missing) {
    FailMissing(Describe(*compiler.missing), CoreMlLayerKind(*compiler.missing),
                std::move(compiler.kinds));
  }
  Mentions all;
  CountNames(block, all);
  // An output is read once more, from outside.
  for (const std::string& name : outputs) ++all[name];
  Release(block, all, Names(outputs.begin(), outputs.end()));
  return block;
}

}  // namespace tl::coreml
