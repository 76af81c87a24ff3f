// The JSON header of a SafeTensors file, checked against everything that can be
// known without the data: see format/safetensors.cc for the layout.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/metadata.h"
#include "tensor/dtype.h"

namespace tl {

struct SafeTensorsTensor {
  std::string name;
  std::optional<DType> dtype;
  std::string foreign_type;  // where dtype is none
  std::vector<int64_t> shape;
  int64_t elements = 0;
  int64_t begin = 0, end = 0;  // in the data section
};

struct SafeTensorsHeader {
  Metadata metadata;
  std::vector<SafeTensorsTensor> tensors;  // in the order of the header
};

// Where the header's JSON begins in its file.
inline constexpr int64_t kSafeTensorsJsonOffset = 8;

// Bytes of it at most: the limit of the reference implementation.
inline constexpr int64_t kSafeTensorsMaxHeader = 100'000'000;

// Fails unless the text is strict JSON with nothing twice, the tensors cover
// [0, data_bytes) without hole or overlap, and each has the bytes that its type
// and shape need. `path` is for messages. Types that are not known pass.
SafeTensorsHeader ParseSafeTensorsHeader(const std::string& path,
                                         simdjson::padded_string json,
                                         int64_t data_bytes);

}  // namespace tl
