#include "coreml/literal.h"

#include <cstring>

#include "base/error.h"
#include "tensor/decode.h"

namespace tl::coreml {
namespace {

template <class T>
void AppendAs(std::span<const std::byte> bytes, std::vector<int64_t>& values) {
  for (size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    values.push_back(static_cast<int64_t>(value));
  }
}

std::vector<int64_t> IntegersIn(std::span<const std::byte> bytes,
                                spec::DataType type) {
  std::vector<int64_t> values;
  switch (type) {
    case spec::INT8:
      AppendAs<int8_t>(bytes, values);
      break;
    case spec::UINT8:
    case spec::BOOL:
      AppendAs<uint8_t>(bytes, values);
      break;
    case spec::INT16:
      AppendAs<int16_t>(bytes, values);
      break;
    case spec::UINT16:
      AppendAs<uint16_t>(bytes, values);
      break;
    case spec::INT32:
      AppendAs<int32_t>(bytes, values);
      break;
    case spec::UINT32:
      AppendAs<uint32_t>(bytes, values);
      break;
    case spec::INT64:
      AppendAs<int64_t>(bytes, values);
      break;
    default:
      Fail(ErrorKind::kInput, "values of type {} are not computed with",
           spec::DataType_Name(type));
  }
  return values;
}

void RequireCount(size_t count, const Shape& shape) {
  if (static_cast<int64_t>(count) != shape.size()) {
    Fail(ErrorKind::kInput, "{} values for a tensor of shape {}", count,
         shape.ToString());
  }
}

TensorRef IntTensor(Host& host, const std::vector<int64_t>& values,
                    const Shape& shape) {
  RequireCount(values.size(), shape);
  if (shape.rank() > 0) return Ints(host, values, shape);
  return host.builder().Number(double(values[0]), DType::I32);
}

// Of rank 0: a number that the plan does not know. Else rounded once.
TensorRef FloatTensor(Host& host, const std::vector<double>& values,
                      const Shape& shape) {
  RequireCount(values.size(), shape);
  if (shape.rank() == 0) return host.builder().Number(values[0], DType::F32);
  return Numbers(host, values, shape, host.dtype());
}

std::vector<double> FloatsIn(std::span<const std::byte> bytes, DType dtype) {
  std::vector<float> values(bytes.size() / size_t(ElementBytes(dtype)));
  Decode(dtype, bytes.first(values.size() * size_t(ElementBytes(dtype))),
         values);
  return {values.begin(), values.end()};
}

Value Texts(const spec::TensorValue::Strings& strings, const Shape& shape) {
  RequireCount(static_cast<size_t>(strings.values_size()), shape);
  if (shape.rank() == 0) return Value::Text(strings.values(0));
  std::vector<Value> items;
  for (const std::string& text : strings.values()) {
    items.push_back(Value::Text(text));
  }
  return Value::List(std::move(items));
}

Value TensorLiteral(Host& host, const spec::TensorValue& value,
                    const spec::TensorType& type) {
  const Shape shape = ShapeOf(type);
  const auto all = [](const auto& list) {
    return std::vector<double>(list.values().begin(), list.values().end());
  };
  const auto ints = [](const auto& list) {
    return std::vector<int64_t>(list.values().begin(), list.values().end());
  };
  switch (value.value_case()) {
    case spec::TensorValue::kFloats:
      return FloatTensor(host, all(value.floats()), shape);
    case spec::TensorValue::kDoubles:
      return FloatTensor(host, all(value.doubles()), shape);
    case spec::TensorValue::kInts:
      return IntTensor(host, ints(value.ints()), shape);
    case spec::TensorValue::kLongInts:
      return IntTensor(host, ints(value.long_ints()), shape);
    case spec::TensorValue::kBools:
      return IntTensor(host, ints(value.bools()), shape);
    case spec::TensorValue::kStrings:
      return Texts(value.strings(), shape);
    case spec::TensorValue::kBytes: {
      const std::string& bytes = value.bytes().values();
      return NumbersIn(host, std::as_bytes(std::span(bytes)), type);
    }
    case spec::TensorValue::VALUE_NOT_SET:
      break;
  }
  // An empty list is not written at all.
  return IsFloat(type.data_type()) ? FloatTensor(host, {}, shape)
                                   : IntTensor(host, {}, shape);
}

template <class Items>
Value Several(Host& host, const Items& items) {
  std::vector<Value> values;
  for (const spec::Value& item : items) {
    values.push_back(LiteralOf(host, item));
  }
  return Value::List(std::move(values));
}

}  // namespace

Shape ShapeOf(const spec::TensorType& type) {
  Shape shape;
  for (const spec::Dimension& dim : type.dimensions()) {
    if (!dim.has_constant() || dim.constant().size() > uint64_t(INT64_MAX)) {
      Fail(ErrorKind::kInput, "a value whose shape is not known");
    }
    shape.Append(static_cast<int64_t>(dim.constant().size()));
  }
  return shape;
}

TensorRef NumbersIn(Host& host, std::span<const std::byte> bytes,
                    const spec::TensorType& type) {
  const Shape shape = ShapeOf(type);
  switch (type.data_type()) {
    case spec::FLOAT16:
      return FloatTensor(host, FloatsIn(bytes, DType::F16), shape);
    case spec::FLOAT32:
      return FloatTensor(host, FloatsIn(bytes, DType::F32), shape);
    default:
      return IntTensor(host, IntegersIn(bytes, type.data_type()), shape);
  }
}

Value LiteralOf(Host& host, const spec::Value& value) {
  const spec::Value::Immediate& immediate = value.immediate_value();
  switch (immediate.value_case()) {
    case spec::Value::Immediate::kTensor:
      return TensorLiteral(host, immediate.tensor(),
                           value.type().tensor_type());
    case spec::Value::Immediate::kTuple:
      return Several(host, immediate.tuple().values());
    case spec::Value::Immediate::kList:
      return Several(host, immediate.list().values());
    default:
      Fail(ErrorKind::kInput, "a value that is neither tensor, tuple nor list");
  }
}

}  // namespace tl::coreml
