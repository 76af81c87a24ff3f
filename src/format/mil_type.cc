#include "format/mil_type.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/error.h"
#include "format/model.h"

namespace tl {
namespace {

using namespace coreml::spec;

constexpr auto kTypes = std::to_array<MilTypeInfo>({
    {UNUSED_TYPE, "unused", 0, std::nullopt, -1},
    {BOOL, "bool", 8, DType::BOOL, -1},
    {STRING, "string", 0, std::nullopt, -1},
    {FLOAT16, "fp16", 16, DType::F16, 1},
    {FLOAT32, "fp32", 32, DType::F32, 2},
    {FLOAT64, "fp64", 64, DType::F64, -1},
    {BFLOAT16, "bf16", 16, DType::BF16, 5},
    {INT8, "int8", 8, DType::I8, 4},
    {INT16, "int16", 16, DType::I16, 6},
    {INT32, "int32", 32, DType::I32, 14},
    {INT64, "int64", 64, DType::I64, -1},
    {INT4, "int4", 4, std::nullopt, 8},
    {UINT8, "uint8", 8, DType::U8, 3},
    {UINT16, "uint16", 16, DType::U16, 7},
    {UINT32, "uint32", 32, DType::U32, 15},
    {UINT64, "uint64", 64, DType::U64, -1},
    {UINT4, "uint4", 4, std::nullopt, 11},
    {UINT2, "uint2", 2, std::nullopt, 10},
    {UINT1, "uint1", 1, std::nullopt, 9},
    {UINT6, "uint6", 6, std::nullopt, 13},
    {UINT3, "uint3", 3, std::nullopt, 12},
    {FLOAT8E4M3FN, "fp8e4m3fn", 8, DType::F8_E4M3, 16},
    {FLOAT8E5M2, "fp8e5m2", 8, DType::F8_E5M2, 17},
});

}  // namespace

const MilTypeInfo& Info(DataType type) {
  const auto row = std::ranges::find(kTypes, type, &MilTypeInfo::type);
  return row == kTypes.end() ? kTypes[0] : *row;
}

std::optional<DataType> FindMilType(std::string_view name) {
  const auto row = std::ranges::find(kTypes, name, &MilTypeInfo::name);
  if (row == kTypes.end()) return std::nullopt;
  return row->type;
}

std::string ToText(const MilTensorType& type) {
  return fmt::format("tensor<{}, {}>", Info(type.type).name,
                     ShapeText(type.shape));
}

MilTensorType MakeTensorType(DataType type, std::vector<int64_t> shape,
                             std::string_view where) {
  MilTensorType made{type, std::move(shape), 1, 0};
  bool empty = false;
  std::optional<int64_t> elements = 1;
  for (const int64_t size : made.shape) {
    if (size < 0) {
      Fail(ErrorKind::kInput, "{}: a size of {} in {}", where,
           static_cast<uint64_t>(size), ShapeText(made.shape));
    }
    empty = empty || size == 0;
    if (elements) elements = CheckedMultiply(*elements, size);
  }
  if (empty) elements = 0;
  const auto bits =
      elements ? CheckedMultiply(*elements, Info(type).bits) : std::nullopt;
  if (!bits) {
    Fail(ErrorKind::kInput, "{}: a tensor of shape {} is too large", where,
         ShapeText(made.shape));
  }
  made.elements = *elements;
  made.bytes = *bits / 8 + (*bits % 8 != 0);
  return made;
}

MilTensorType TensorTypeOf(const ValueType& type, std::string_view where) {
  if (!type.has_tensor_type()) {
    Fail(ErrorKind::kInput, "{}: is not a tensor", where);
  }
  const TensorType& tensor = type.tensor_type();
  std::vector<int64_t> shape;
  for (const Dimension& dimension : tensor.dimensions()) {
    if (!dimension.has_constant()) {
      Fail(ErrorKind::kInput, "{}: dimension {} of a constant is not known",
           where, shape.size());
    }
    shape.push_back(static_cast<int64_t>(dimension.constant().size()));
  }
  return MakeTensorType(tensor.data_type(), std::move(shape), where);
}

}  // namespace tl
