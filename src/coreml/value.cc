#include "coreml/value.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/half.h"

namespace tl::coreml {
namespace {

constexpr int64_t kSmallest = std::numeric_limits<int32_t>::min();
constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();
constexpr double kLimit = 0x1p62;

int32_t WholeNumber(double value) {
  if (value != value) return 0;
  return static_cast<int32_t>(
      std::clamp(value, double(kSmallest), double(kLargest)));
}

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

TensorRef Numbers(Host& host, const std::vector<double>& values,
                  const Shape& shape, DType dtype) {
  Tensor tensor = MakeTensor(dtype, shape);
  TL_CHECK(static_cast<int64_t>(values.size()) == tensor.size());
  for (size_t i = 0; i < values.size(); ++i) {
    switch (dtype) {
      case DType::I32:
        tensor.as<int32_t>()[i] = WholeNumber(values[i]);
        break;
      case DType::F32:
        tensor.as<float>()[i] = static_cast<float>(values[i]);
        break;
      default:
        tensor.as<uint16_t>()[i] = DoubleToHalf(values[i]);
    }
  }
  return host.builder().Leaf(std::move(tensor));
}

Shape ShapeOf(std::span<const int64_t> sizes) {
  for (int64_t size : sizes) {
    if (size >= 0) continue;
    Fail(ErrorKind::kInput, "a shape of [{}]", fmt::join(sizes, ", "));
  }
  return Shape::Of(sizes);
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
    // Of NaN, 0: no condition below holds.
    const double inside = number > kLimit    ? kLimit
                          : number < -kLimit ? -kLimit
                          : number == number ? number
                                             : 0;
    ints.push_back(static_cast<int64_t>(inside));
  }
  return ints;
}

}  // namespace tl::coreml
