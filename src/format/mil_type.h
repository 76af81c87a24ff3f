// The element types of MIL, the language of CoreML's programs, and the types of
// its tensors whose shape is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/coreml.pb.h"
#include "tensor/dtype.h"

namespace tl {

struct MilTypeInfo {
  coreml::spec::DataType type;
  std::string_view name;  // as the text form writes it, and our messages
  int bits;               // of an element; 0 for a text
  std::optional<DType> dtype;
  int blob;  // its number in a weight file, -1 where it has none
};

// "unused", of no bits, for a number that is no type.
const MilTypeInfo& Info(coreml::spec::DataType type);
std::optional<coreml::spec::DataType> FindMilType(std::string_view name);

struct MilTensorType {
  coreml::spec::DataType type = coreml::spec::UNUSED_TYPE;
  std::vector<int64_t> shape;
  int64_t elements = 0;
  int64_t bytes = 0;  // the last one may be filled in part
};

// "tensor<fp16, [2, 3]>"
std::string ToText(const MilTensorType& type);

// Fails, beginning the message with `where`, when the type is none of a tensor,
// a size is not known, or its bytes do not fit 63 bits.
MilTensorType TensorTypeOf(const coreml::spec::ValueType& type,
                           std::string_view where);
MilTensorType MakeTensorType(coreml::spec::DataType type,
                             std::vector<int64_t> shape,
                             std::string_view where);

}  // namespace tl
