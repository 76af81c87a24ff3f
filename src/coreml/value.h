// What a name of a CoreML program stands for while it runs: a lazy tensor, a
// text, a list of values, or a state. Numbers and flags are tensors too (I32, or
// a float of rank 0): where the host needs to know one, it is read from the
// graph.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "coreml/host.h"

namespace tl::coreml {

struct Value {
  Value() = default;
  Value(TensorRef tensor) : tensor(std::move(tensor)) {}

  static Value Text(std::string text) {
    Value value;
    value.text = std::move(text);
    value.is_text = true;
    return value;
  }
  static Value List(std::vector<Value> items) {
    Value value;
    value.items = std::move(items);
    value.is_list = true;
    return value;
  }

  // What a classifier gives: numbers by label. The labels are a list of texts,
  // or a tensor of ints.
  static Value Labelled(Value labels, TensorRef numbers) {
    Value value = List({std::move(labels), Value(std::move(numbers))});
    value.is_labelled = true;
    return value;
  }

  // A tensor that a program may replace, wherever it has the state.
  static Value State(TensorRef tensor) {
    Value value;
    value.state = std::make_shared<TensorRef>(std::move(tensor));
    return value;
  }

  bool is_tensor() const { return static_cast<bool>(tensor); }

  TensorRef tensor;
  std::string text;
  std::vector<Value> items;
  std::shared_ptr<TensorRef> state;
  bool is_text = false;
  bool is_list = false;
  bool is_labelled = false;
};

// A host tensor as a leaf of the graph.
TensorRef Ints(Host& host, const std::vector<int64_t>& values,
               const Shape& shape);
TensorRef IntVector(Host& host, const std::vector<int64_t>& values);

// The same of any type that is computed with, each number rounded once; ints
// are cut and saturate, NaN is 0.
TensorRef Numbers(Host& host, const std::vector<double>& values,
                  const Shape& shape, DType dtype);

// Sizes that a program computes or a file states. Fails if one is negative.
Shape ShapeOf(std::span<const int64_t> sizes);

// The elements of a tensor, read now. Floats are cut toward 0, and saturate.
std::vector<int64_t> ReadInts(Host& host, const TensorRef& tensor);
std::vector<double> ReadNumbers(Host& host, const TensorRef& tensor);

}  // namespace tl::coreml
