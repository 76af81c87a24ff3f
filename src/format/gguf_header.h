// The header of a GGUF file, checked against everything that can be known
// without the data. Strings and arrays of its metadata stay in the mapping.
//
//   bytes   4       "GGUF"
//   u32     version 1 to 3
//   u64     number of tensors         (u32 in version 1)
//   u64     number of metadata keys   (u32 in version 1)
//   per key:    string key, u32 kind, value; the kinds are metadata_kind.def
//   per tensor: string name, u32 rank, u64 ne[rank] (u32 in version 1),
//               u32 type, u64 offset; the types are tensor/dtype.def
//   zeros up to a multiple of the alignment: metadata "general.alignment", else
//   32. Then the tensors, each at its offset from here and padded likewise,
//   in the order of the list.
//
//   string: u64 length (u32 in version 1), then that many bytes
//   array:  u32 kind of its items, u64 count (u32 in version 1), the items
//
// ne[0] counts the elements that lie side by side: a shape as the rest of the
// program has it is ne reversed. All numbers are little-endian. A big-endian
// file differs only in that, its version included, and is refused.
// https://github.com/ggml-org/ggml, docs/gguf.md and src/gguf.cpp
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "format/metadata.h"
#include "tensor/dtype.h"

namespace tl {

inline constexpr std::string_view kGgufMagic = "GGUF";
// The newest that is read, and the one that is written.
inline constexpr uint32_t kGgufNewestVersion = 3;
inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
inline constexpr int64_t kGgufDefaultAlignment = 32;
inline constexpr int64_t kGgufMaxRank = 4;  // GGML_MAX_DIMS
inline constexpr int64_t kGgufMaxTensorName =
    63;  // GGML_MAX_NAME less its terminator

struct GgufTensor {
  std::string name;
  uint32_t type = 0;  // GGUF's number
  std::optional<DType> dtype;
  std::vector<int64_t> shape;  // row-major
  int64_t elements = 0;
  int64_t offset = 0;  // in the data section
  // Of a type that is not known: all up to the next tensor or the file's end.
  int64_t bytes = 0;
};

struct GgufHeader {
  uint32_t version = 0;
  Metadata metadata;
  int64_t alignment = kGgufDefaultAlignment;
  int64_t data_offset = 0;          // in the file
  std::vector<GgufTensor> tensors;  // in the order of the file
};

// Fails unless everything that the header says fits into the file, no key is
// there twice, and each tensor begins where the one before it ends. Names of
// tensors may still repeat. The file begins with kGgufMagic.
GgufHeader ReadGgufHeader(const std::shared_ptr<const MappedFile>& file);

}  // namespace tl
