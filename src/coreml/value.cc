#include "coreml/value.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/half.h"

namespace tl::coreml {
namespace {

constexpr int64_t kSmallest = std::numeric_limits<int32_t>::min();
constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();

}  // namespace

// Ints of a program saturate: "to the end" is often 2^63 - 1.
TensorRef Ints(Host& host, const std::vector<int64_t>& values,
               const Shape& shape) {
  Tensor tensor = MakeTensor(DType::I32, shape);
  std::transform(values.begin(), values.end(), tensor.as<int32_t>(),
                 [](int64_t value) {
                   return static_cast<int32_t>(
                       std::clamp(value, kSmallest, kLargest));
                 });
  return host.builder().Leaf(std::move(tensor));
}

TensorRef IntVector(Host& host, const std::vector<int64_t>& values) {
  return Ints(host, values, Shape{static_cast<int64_t>(values.size())});
}

std::vector<double> ReadNumbers(Host& host, const TensorRef& ref) {
  const NodePtr node = AsNode(ref);
  if (node->op() == OpId::kNumber) return {node->number()};
  const Tensor& tensor = host.Evaluate(ref);
  std::vector<double> numbers(static_cast<size_t>(tensor.size()));
  for (size_t i = 0; i < numbers.size(); ++i) {
    switch (tensor.dtype) {
      case DType::I32:
        numbers[i] = tensor.as<int32_t>()[i];
        break;
      case DType::F32:
        numbers[i] = tensor.as<float>()[i];
        break;
      default:
        numbers[i] = HalfToFloat(tensor.as<uint16_t>()[i]);
    }
  }
  return numbers;
}

std::vector<int64_t> ReadInts(Host& host, const TensorRef& tensor) {
  std::vector<int64_t> ints;
  for (double number : ReadNumbers(host, tensor)) {
    ints.push_back(static_cast<int64_t>(number));
  }
  return ints;
}

}  // namespace tl::coreml
