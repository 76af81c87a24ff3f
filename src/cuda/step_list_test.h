// What the tests of lists of steps share: a list with its memory, and what its steps
// should make, in double arithmetic.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "cuda/step_list.h"
#include "kernel_tests/packed_test.h"
#include "tensor/decode.h"

namespace tl::cuda {

// A list, and the card's copies of what its steps were given.
class TestList {
 public:
  bool Add(OpId op, const std::vector<TestArray>& inputs, const TestArray& output,
           const std::vector<int64_t>& ints = {},
           const std::vector<double>& numbers = {},
           const ElementwiseProgram* program = nullptr,
           DType dtype = DType::F16) {
    std::vector<View> in;
    for (const TestArray& array : inputs) in.push_back(memory_.Place(array));
    const View out = memory_.Place(output);
    KernelArgs args;
    args.inputs = in;
    args.outputs = {&out, 1};
    args.ints = ints;
    args.numbers = numbers;
    args.program = program;
    args.dtype = dtype;
    args.indices_checked = indices_checked_;
    outputs_.push_back(output);
    // Their addresses stand for them as long as the list is.
    inputs_.insert(inputs_.end(), inputs.begin(), inputs.end());
    return list_.Add(op, args, laps_.lap());
  }
  // To the card's copy of an array, from the host's of another.
  bool AddBytes(const TestArray& to, const TestArray& from) {
    inputs_.push_back(to);
    return list_.AddBytes(memory_.Place(to).data, from.AsView().data,
                          BytesOf(from.dtype, ElementCount(from.dims)));
  }
  void Forget(const TestArray& array) {
    const View view = memory_.Place(array);
    list_.Forget({view.data, static_cast<size_t>(BytesOf(view.dtype, view.size()))});
  }
  void set_indices_checked(bool checked) { indices_checked_ = checked; }
  size_t levels() const { return list_.levels(); }
  size_t steps() const { return list_.steps(); }
  unsigned waits() const { return list_.waits(); }  // of the last Run
  Laps& laps() { return laps_; }
  void Run() {
    list_.Flush(&laps_);
    for (const TestArray& array : outputs_) memory_.CopyBack(array);
  }

 private:
  TestMemory memory_;
  std::vector<TestArray> inputs_, outputs_;
  StepList list_;
  Laps laps_;
  bool indices_checked_ = false;
};

// A matrix of small weights, and what it stands for.
struct Weights {
  TestArray array;
  std::vector<double> values;

  Weights(DType dtype, int n, int k, uint32_t seed)
      : array(RandomArray(DType::F16, {n, k}, seed, -0.1, 0.1)),
        values(array.Values()) {
    if (dtype == DType::F16) return;
    const auto stored = RandomBlocks(dtype, int64_t{n} * k, seed);
    Decode(dtype, stored, values);
    array = PackedArray(dtype, {n, k}, stored);
  }
};

inline std::vector<double> Product(const std::vector<double>& x,
                                   const std::vector<double>& w) {
  std::vector<double> result(w.size() / x.size());
  for (size_t n = 0; n < result.size(); ++n) {
    for (size_t k = 0; k < x.size(); ++k) result[n] += x[k] * w[n * x.size() + k];
  }
  return result;
}

inline std::vector<double> RmsNormOf(const std::vector<double>& x,
                                     const std::vector<double>& weight,
                                     double eps) {
  double squares = 0;
  for (double value : x) squares += value * value;
  const double scale = 1 / std::sqrt(squares / x.size() + eps);
  std::vector<double> result;
  for (size_t i = 0; i < x.size(); ++i) {
    result.push_back(RoundedTo(DType::F16, x[i] * scale * weight[i]));
  }
  return result;
}

// result = f of (the kernel's result, one more operand), each rounded to F16.
inline ElementwiseProgram EpilogueOf(std::vector<OpId> ops) {
  ElementwiseProgram program;
  program.inputs = 2;
  program.input_dtypes = {DType::F16, DType::F16};
  uint8_t value = 0;
  for (OpId op : ops) {
    program.instructions.push_back({op, DType::F16, false, {value, 1, 0}});
    value = static_cast<uint8_t>(1 + program.instructions.size());
  }
  program.outputs = {value};
  return program;
}

// x as the kernel rounds it: int8 in groups of 32.
inline std::vector<double> RoundedInGroups(std::vector<double> x) {
  for (size_t group = 0; group < x.size(); group += 32) {
    float top = 0;
    for (size_t i = group; i < group + 32; ++i) {
      top = std::max(top, static_cast<float>(std::abs(x[i])));
    }
    const float scale = top / 127.0f;
    for (size_t i = group; i < group + 32; ++i) {
      x[i] = std::nearbyint(static_cast<float>(x[i]) * (127.0f / top)) * scale;
    }
  }
  return x;
}

// result = op of the one operand.
inline ElementwiseProgram ProgramOf(OpId op) {
  ElementwiseProgram program;
  program.inputs = 1;
  program.input_dtypes = {DType::F16};
  program.instructions = {{op, DType::F16, false, {0, 0, 0}}};
  program.outputs = {1};
  return program;
}

// Pairs of neighbours, as Llama's are in GGUF.
inline std::vector<double> Turned(const std::vector<double>& x,
                                  const TestArray& cos, const TestArray& sin,
                                  int dim) {
  std::vector<double> result;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto pair = static_cast<int64_t>(i % dim / 2);
    const double other = x[i ^ 1] * sin.Get(pair);
    result.push_back(RoundedTo(
        DType::F16, x[i] * cos.Get(pair) + (i % 2 == 0 ? -other : other)));
  }
  return result;
}

// softmax(q k^T * scale) v of one query, whose heads share those of k and
// v, over keys [first, keys).
inline std::vector<double> Attended(const TestArray& q, const TestArray& k,
                             const TestArray& v, int keys, double scale,
                             int first = 0) {
  const int heads = static_cast<int>(q.dims[1]), dim = static_cast<int>(q.dims[2]);
  const int kv_heads = static_cast<int>(k.dims[1]);
  std::vector<double> result(heads * dim);
  for (int h = 0; h < heads; ++h) {
    const int kv = h / (heads / kv_heads);
    std::vector<double> weights(keys);
    double sum = 0, most = -INFINITY;
    for (int i = first; i < keys; ++i) {
      double dot = 0;
      for (int d = 0; d < dim; ++d) {
        dot += q.Get(h * dim + d) * k.Get((i * kv_heads + kv) * dim + d);
      }
      weights[i] = dot * scale;
      most = std::max(most, weights[i]);
    }
    for (int i = first; i < keys; ++i) {
      sum += weights[i] = std::exp(weights[i] - most);
    }
    for (int i = first; i < keys; ++i) {
      for (int d = 0; d < dim; ++d) {
        result[h * dim + d] +=
            weights[i] / sum * v.Get((i * kv_heads + kv) * dim + d);
      }
    }
  }
  return result;
}

}  // namespace tl::cuda
