#include "format/mil_constant.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "format/model.h"

namespace tl {
namespace {

using namespace coreml::spec;

template <class Repeated>
std::span<const std::byte> BytesOf(const Repeated& numbers) {
  return std::as_bytes(
      std::span(numbers.data(), static_cast<size_t>(numbers.size())));
}

// The type that a list of numbers has in memory, whatever type it stands for.
struct InMemory {
  DataType type;
  std::span<const std::byte> bytes;
};

std::optional<InMemory> ListOf(const TensorValue& tensor, DataType type) {
  switch (tensor.value_case()) {
    case TensorValue::kFloats:
      return {{FLOAT32, BytesOf(tensor.floats().values())}};
    case TensorValue::kInts:
      return {
          {type == UINT32 ? UINT32 : INT32, BytesOf(tensor.ints().values())}};
    case TensorValue::kBools:
      return {{BOOL, BytesOf(tensor.bools().values())}};
    case TensorValue::kLongInts:
      return {{type == UINT64 ? UINT64 : INT64,
               BytesOf(tensor.long_ints().values())}};
    case TensorValue::kDoubles:
      return {{FLOAT64, BytesOf(tensor.doubles().values())}};
    case TensorValue::kBytes:
      return {{type, BytesOf(tensor.bytes().values())}};
    case TensorValue::kStrings:
    case TensorValue::VALUE_NOT_SET:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<MilNumbers> NumbersOf(const Value& value, BlobFiles& blobs,
                                    const std::string& what) {
  if (value.has_blob_file_value()) {
    MilNumbers numbers{TensorTypeOf(value.type(), what), {}, {}};
    Blob blob = blobs.Find(value.blob_file_value(), numbers.type, what);
    numbers.bytes = blob.bytes;
    numbers.file = std::move(blob.file);
    return numbers;
  }
  if (!value.immediate_value().has_tensor()) return std::nullopt;
  const DataType type = value.type().tensor_type().data_type();
  const auto list = ListOf(value.immediate_value().tensor(), type);
  if (!list) return std::nullopt;
  MilNumbers numbers{TensorTypeOf(value.type(), what), list->bytes, {}};
  numbers.type = MakeTensorType(list->type, numbers.type.shape, what);
  if (numbers.type.bytes != static_cast<int64_t>(list->bytes.size())) {
    Fail(ErrorKind::kInput, "{}: is {} of {} bytes, but {} are there", what,
         ToText(numbers.type), numbers.type.bytes, list->bytes.size());
  }
  return numbers;
}

bool IsConstexpr(const Operation& operation) {
  // "ios18.constexpr_…" in some texts.
  return operation.type().find("constexpr_") != std::string::npos;
}

const Value* FindValue(const Operation& operation, const std::string& name) {
  const auto attribute = operation.attributes().find(name);
  if (attribute != operation.attributes().end()) return &attribute->second;
  const auto input = operation.inputs().find(name);
  if (input == operation.inputs().end() ||
      input->second.arguments_size() != 1 ||
      !input->second.arguments(0).has_value()) {
    return nullptr;
  }
  return &input->second.arguments(0).value();
}

}  // namespace tl
