// Storage types: what the bytes of a tensor may be. The facts are the rows of
// dtype.def; this header only makes them askable. Computation knows three of
// them (F16, F32, I32); the rest are decoded on use, see decode.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tl {

enum class DType : uint8_t {
#define TL_DTYPE(id, ...) id,
#include "tensor/dtype.def"
};

enum class DTypeKind : uint8_t { kFloat, kPacked, kScale, kOther };

struct DTypeInfo {
  std::string_view name;
  DTypeKind kind;
  uint16_t block_elements;  // elements that share one block of bytes
  uint16_t block_bytes;
  std::string_view safetensors;  // its name there, "" if it has none
  int gguf;                      // its number there, -1 if it has none
};

const DTypeInfo& Info(DType dtype);
std::optional<DType> FindSafeTensorsDType(std::string_view name);
std::optional<DType> FindGgufDType(uint32_t number);

inline bool IsPacked(DType dtype) {
  return Info(dtype).kind == DTypeKind::kPacked;
}
// Whether a model's tensor of this type can be computed with.
inline bool IsComputable(DType dtype) {
  return Info(dtype).kind == DTypeKind::kFloat || IsPacked(dtype);
}

// The language's name of a type of computation: "float16", "float32", "int32".
std::string_view LanguageName(DType dtype);

// Bytes of whole blocks of elements. Unchecked: see BytesOf() in tensor.h.
inline int64_t BlockBytes(DType dtype, int64_t elements) {
  const DTypeInfo& info = Info(dtype);
  return elements / info.block_elements * info.block_bytes;
}

// Bytes of one element of F16, F32, I32 and the other unblocked types.
inline int64_t ElementBytes(DType dtype) { return Info(dtype).block_bytes; }

}  // namespace tl
