// What a lazy graph costs before any element is computed: building a node,
// planning a new structure, and finding the plan of a known one. Budgets
// (docs/design.md): 0.3 us a node to build, 3 us a node to plan.
#include <benchmark/benchmark.h>

#include "exec/planner.h"
#include "graph/builder.h"
#include "ops/build.h"

namespace tl {
namespace {

constexpr int kLayers = 32;
constexpr int kNodesPerLayer = 8;

// A stack of gated layers: products, norms and elementwise ops as in a model.
TensorRef Layers(Builder& builder, TensorRef x, const TensorRef& w) {
  for (int i = 0; i < kLayers; ++i) {
    const TensorRef h = MatrixProduct(
        builder, builder.Lowering::Apply(OpId::RmsNorm, {x}, {{}, {1e-6}}), w);
    const TensorRef gate = Unary(builder, OpId::Silu, h);
    const TensorRef up = Binary(builder, OpId::Mul, gate, h);
    const TensorRef scaled = WithNumber(builder, OpId::Mul, up, 0.5);
    x = Binary(builder, OpId::Add, x, scaled);
    x = Unary(builder, OpId::Neg, Unary(builder, OpId::Neg, x));
  }
  return x;
}

struct Graph {
  Graph() {
    x = builder.Leaf(MakeTensor(DType::F16, Shape{4, 64}));
    w = builder.Leaf(MakeTensor(DType::F16, Shape{64, 64}));
  }
  Builder builder;
  TensorRef x, w;
};

void CountNodes(benchmark::State& state) {
  state.counters["per node"] = benchmark::Counter(
      double(state.iterations()) * kLayers * kNodesPerLayer,
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BuildAndRelease(benchmark::State& state) {
  Graph graph;
  for (auto _ : state) {
    benchmark::DoNotOptimize(Layers(graph.builder, graph.x, graph.w));
  }
  CountNodes(state);
}
BENCHMARK(BuildAndRelease);

void CollectKey(benchmark::State& state) {
  Graph graph;
  const TensorRef y = Layers(graph.builder, graph.x, graph.w);
  Node* wanted[] = {AsNode(y).get()};
  for (auto _ : state) {
    benchmark::DoNotOptimize(CollectStructure(wanted, {}));
  }
  CountNodes(state);
}
BENCHMARK(CollectKey);

void Plan(benchmark::State& state) {
  Graph graph;
  const TensorRef y = Layers(graph.builder, graph.x, graph.w);
  Node* wanted[] = {AsNode(y).get()};
  const Structure structure = CollectStructure(wanted, {});
  for (auto _ : state) benchmark::DoNotOptimize(MakePlan(structure));
  CountNodes(state);
}
BENCHMARK(Plan);

}  // namespace
}  // namespace tl

BENCHMARK_MAIN();
