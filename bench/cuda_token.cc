// What the card takes for a token of a language model, without the program that
// asks for it: the steps of a model of Llama's shape with random weights as one
// list (src/cuda/step_list.h), and what of it goes to which step of a layer.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "bench/cuda_memory.h"
#include "cuda/epilogue.h"
#include "cuda/step_list.h"

namespace tl {
namespace {

using Bytes = std::shared_ptr<std::byte>;
using cuda::Laps;
using cuda::Moment;
using cuda::StepList;

struct Size {
  const char* name;
  int64_t layers, width, gated, heads, kv_heads, tokens;

  int64_t dim() const { return width / heads; }
  int64_t kv_width() const { return kv_heads * dim(); }
};
constexpr Size kSizes[] = {{"1.1B", 22, 2048, 5632, 32, 4, 32000},
                           {"7B", 32, 4096, 11008, 32, 32, 32000}};
constexpr int64_t kKeys =
    576;  // the middle of 128 tokens after a prompt of 512

// A kind of weights. Of mixtures every other layer has `more` for values and down, and so
// have the logits: about as GGUF's Q4_K_M.
struct Kind {
  const char* name;
  DType dtype, more;
};
constexpr Kind kKinds[] = {{"F16", DType::F16, DType::F16},
                           {"Q8_0", DType::Q8_0, DType::Q8_0},
                           {"Q4_0", DType::Q4_0, DType::Q4_0},
                           {"Q4_K", DType::Q4_K, DType::Q4_K},
                           {"Q6_K", DType::Q6_K, DType::Q6_K},
                           {"Q4_K_M", DType::Q4_K, DType::Q6_K}};

// What the time is divided into.
enum Part { kQkv, kAttention, kOut, kGate, kDown, kLogits, kParts };
constexpr const char* kNames[] = {"q k v",   "attention", "o",
                                  "gate up", "down",      "logits"};

View Array(const Bytes& data, std::initializer_list<int64_t> dims,
           DType dtype = DType::F16) {
  View view = {data.get(), dtype, static_cast<int>(dims.size()), {}, {}};
  std::copy(dims.begin(), dims.end(), view.dims);
  return cuda::DenseView(view, dtype, data.get());
}

Bytes Floats(int64_t count, float value) {
  const std::vector<float> floats(count, value);
  Bytes memory = cuda::Allocate(count * 4);
  cuda::CopyToDevice(memory.get(),
                     reinterpret_cast<const std::byte*>(floats.data()),
                     count * 4);
  return memory;
}

ElementwiseProgram ProgramOf(OpId op, uint8_t inputs) {
  ElementwiseProgram program;
  program.inputs = inputs;
  program.input_dtypes.assign(inputs, DType::F16);
  const auto last = static_cast<uint8_t>(inputs - 1);
  program.instructions = {{op, DType::F16, false, {0, last, 0}}};
  program.outputs = {inputs};
  return program;
}

// Small ones around 0, of blocks that begin or end with their scales: what grows without
// end takes other ways through a kernel.
std::vector<uint16_t> SmallWeights(DType dtype) {
  const int64_t words = BlockBytes(dtype, Info(dtype).block_elements) / 2;
  const int64_t scales = dtype == DType::Q4_K ? 2 : 1;
  const int64_t first = dtype == DType::Q6_K ? words - 1 : 0;
  std::vector<uint16_t> all = RandomWords((8 << 20) / words * words);
  for (size_t at = 0; at < all.size(); at += words) {
    for (int64_t i = first; i < first + scales; ++i) {
      all[at + i] = RandomHalf(all[at + i], dtype == DType::F16 ? 0x1800 : 0x0c00);
    }
  }
  return all;
}

class Model {
 public:
  Model(const Size& size, const Kind& kind)
      : size_(size),
        kind_(kind),
        chunk_(SmallWeights(kind.dtype)),
        chunk_of_more_(SmallWeights(kind.more)) {
    for (Layer& layer : layers_) {
      const bool more = (&layer - layers_.data()) % 2 == 1;
      layer.q = Weights(size_.width, size_.width);
      layer.k = Weights(size_.kv_width(), size_.width);
      layer.v = Weights(size_.kv_width(), size_.width, more);
      layer.out = Weights(size_.width, size_.width);
      layer.gate = Weights(size_.gated, size_.width);
      layer.up = Weights(size_.gated, size_.width);
      layer.down = Weights(size_.width, size_.gated, more);
      layer.keys = RandomBytes(kKeys * size_.kv_width() * 2);
      layer.values = RandomBytes(kKeys * size_.kv_width() * 2);
    }
  }

  // Of what a token reads.
  int64_t bytes() const { return bytes_; }

  void AddToken(StepList& list) const {
    for (const Layer& layer : layers_) AddLayer(list, layer);
    Norm(list, kLogits);
    Product(list, kLogits, h_, size_.width, logits_w_,
            Array(logits_, {1, size_.tokens}));
  }

 private:
  struct Matrix {
    Bytes data;
    DType dtype;
  };
  struct Layer {
    Matrix q, k, v, out, gate, up, down;
    Bytes keys, values;
  };

  Matrix Weights(int64_t rows, int64_t columns, bool more = false) {
    const DType dtype = more ? kind_.more : kind_.dtype;
    const int64_t bytes = BlockBytes(dtype, rows * columns);
    bytes_ += bytes;
    return {Filled(bytes, more ? chunk_of_more_ : chunk_), dtype};
  }

  void Add(StepList& list, Part part, OpId op, std::vector<View> inputs,
           const View& output, std::vector<int64_t> ints = {},
           std::vector<double> numbers = {},
           const ElementwiseProgram* program = nullptr) const {
    KernelArgs args;
    args.inputs = inputs;
    args.outputs = {&output, 1};
    args.ints = ints;
    args.numbers = numbers;
    args.program = program;
    if (list.Add(op, args, part)) return;
    std::printf("a step of '%s' is none for a list\n", kNames[part]);
    std::exit(1);
  }

  void Norm(StepList& list, Part part) const {
    Add(list, part, OpId::RmsNorm,
        {Array(x_, {1, size_.width}), Array(norm_, {size_.width}, DType::F32)},
        Array(h_, {1, size_.width}), {}, {1e-5});
  }

  // y = x w^T, with `program` and its operand `beside` after it.
  void Product(StepList& list, Part part, const Bytes& x, int64_t k,
               const Matrix& w, const View& y,
               const ElementwiseProgram* program = nullptr,
               const Bytes& beside = nullptr) const {
    const int64_t n = y.size();
    View columns = Array(w.data, {k, n}, w.dtype);
    columns.strides[0] = 1;
    columns.strides[1] = k;
    std::vector<View> inputs = {Array(x, {1, k}), columns};
    if (beside) inputs.push_back(Array(beside, {1, n}));
    Add(list, part, OpId::Matmul, inputs, y, {}, {}, program);
  }

  void AddLayer(StepList& list, const Layer& layer) const {
    const int64_t width = size_.width, kv_width = size_.kv_width();
    Norm(list, kQkv);
    Product(list, kQkv, h_, width, layer.q, Array(q_, {1, width}));
    Product(list, kQkv, h_, width, layer.k, Array(k_, {1, kv_width}));
    Product(list, kQkv, h_, width, layer.v, Array(v_, {1, kv_width}));
    Turn(list, q_, size_.heads, turned_q_);
    Turn(list, k_, size_.kv_heads, turned_k_);
    Keep(list, turned_k_, layer.keys);
    Keep(list, v_, layer.values);
    const View heads = Heads(turned_q_, 1, size_.heads);
    Add(list, kAttention, OpId::Attention,
        {heads, Heads(layer.keys, kKeys, size_.kv_heads),
         Heads(layer.values, kKeys, size_.kv_heads)},
        Heads(attended_, 1, size_.heads), {1, 0, 0}, {0.1, 0, 0});
    Product(list, kOut, attended_, width, layer.out, Array(x_, {1, width}),
            &add_, x_);
    Norm(list, kGate);
    Product(list, kGate, h_, width, layer.gate, Array(gate_, {1, size_.gated}),
            &silu_);
    Product(list, kGate, h_, width, layer.up, Array(up_, {1, size_.gated}),
            &mul_, gate_);
    Product(list, kDown, up_, size_.gated, layer.down, Array(x_, {1, width}),
            &add_, x_);
  }

  Bytes Row() const { return RandomBytes(size_.width * 2); }
  View Heads(const Bytes& data, int64_t rows, int64_t heads) const {
    return Array(data, {rows, heads, size_.dim()});
  }
  void Turn(StepList& list, const Bytes& x, int64_t heads,
            const Bytes& to) const {
    const int64_t pairs = size_.dim() / 2;
    Add(list, kQkv, OpId::Rope,
        {Heads(x, 1, heads), Array(cos_, {1, pairs}, DType::F32),
         Array(sin_, {1, pairs}, DType::F32)},
        Heads(to, 1, heads), {0});
  }
  void Keep(StepList& list, const Bytes& row, const Bytes& cache) const {
    const View all = Heads(cache, kKeys, size_.kv_heads);
    Add(list, kQkv, OpId::Assign, {all, Heads(row, 1, size_.kv_heads)}, all,
        {1, 1, size_.kv_heads, 1, size_.dim(), 1}, {double(kKeys - 1), 0, 0});
  }

  const Size& size_;
  const Kind kind_;
  const std::vector<uint16_t> chunk_, chunk_of_more_;  // of the weights
  int64_t bytes_ = 0;
  std::vector<Layer> layers_ = std::vector<Layer>(size_.layers);
  const Matrix logits_w_ = Weights(size_.tokens, size_.width, true);
  const Bytes x_ = Row(), h_ = Row(), q_ = Row(), k_ = Row(), v_ = Row(),
              turned_q_ = Row(), turned_k_ = Row(), attended_ = Row(),
              gate_ = RandomBytes(size_.gated * 2),
              up_ = RandomBytes(size_.gated * 2),
              logits_ = RandomBytes(size_.tokens * 2);
  const Bytes norm_ = Floats(size_.width, 1),
              cos_ = Floats(size_.dim() / 2, 0.8f),
              sin_ = Floats(size_.dim() / 2, 0.6f);
  const ElementwiseProgram add_ = ProgramOf(OpId::Add, 2);
  const ElementwiseProgram mul_ = ProgramOf(OpId::Mul, 2);
  const ElementwiseProgram silu_ = ProgramOf(OpId::Silu, 1);
};

// The middle of many tokens, one after the other.
double SecondsOfToken(const Model& model, StepList& list, int tokens) {
  std::vector<std::unique_ptr<Moment>> moments;
  for (int i = 0; i <= tokens; ++i) {
    if (i > 0) {
      model.AddToken(list);
      list.Flush();
    }
    moments.push_back(std::make_unique<Moment>());
  }
  cuda::Synchronize();
  std::vector<double> seconds;
  for (int i = 0; i < tokens; ++i) {
    seconds.push_back(moments[i + 1]->SecondsSince(*moments[i]));
  }
  std::nth_element(seconds.begin(), seconds.begin() + tokens / 2,
                   seconds.end());
  return seconds[tokens / 2];
}

std::vector<double> SecondsOfParts(const Model& model, StepList& list,
                                   int tokens) {
  Laps laps;
  laps.Start();
  for (int i = 0; i < kParts; ++i) laps.End();
  for (int i = 0; i < tokens; ++i) {
    model.AddToken(list);
    list.Flush(&laps);
  }
  std::vector<double> seconds = laps.Seconds();
  for (double& part : seconds) part /= tokens;
  return seconds;
}

void Measure(const Size& size, const Kind& kind) {
  const Model model(size, kind);
  StepList list;
  model.AddToken(list);
  const size_t steps = list.steps();
  list.Flush();
  SecondsOfToken(model, list, 10);
  const double seconds = SecondsOfToken(model, list, 100);
  std::printf(
      "%-4s %-6s %8.1f us %6.0f t/s %6.0f GB/s, %zu steps; us:", size.name,
      kind.name, seconds * 1e6, 1 / seconds,
      1e-9 * static_cast<double>(model.bytes()) / seconds, steps);
  const std::vector<double> parts = SecondsOfParts(model, list, 20);
  for (int part = 0; part < kParts; ++part) {
    const double each = part == kLogits ? 1 : static_cast<double>(size.layers);
    std::printf(" %s %.1f%s", kNames[part], parts[part] / each * 1e6,
                part + 1 < kParts ? "," : "\n");
  }
}

}  // namespace
}  // namespace tl

// Of all sizes and types, or of those that are named: `bench_cuda_token 7B Q4_0`.
int main(int argc, char** argv) {
  using namespace tl;
  if (!cuda::FindCard().available) {
    std::printf("no card: %s\n", cuda::FindCard().why.c_str());
    return 1;
  }
  std::printf("a token, and each step of a layer\n");
  for (const Size& size : kSizes) {
    if (argc > 1 && std::string_view(size.name) != argv[1]) continue;
    for (const Kind& kind : kKinds) {
      if (argc > 2 && std::string_view(kind.name) != argv[2]) continue;
      Measure(size, kind);
    }
  }
}
