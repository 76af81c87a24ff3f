// Values that a MIL program holds itself, as values of a running program.
#pragma once

#include <span>

#include "coreml/value.h"
#include "format/coreml.pb.h"

namespace tl::coreml {

// A tensor, text, or tuple or list of them; fails, naming what it is, for what
// holds fewer or more elements than its type says, and for a type whose elements
// no operation computes with.
Value LiteralOf(Host& host, const spec::Value& value);

// Numbers stored in a blob file, as bytes of this type.
TensorRef NumbersIn(Host& host, std::span<const std::byte> bytes,
                    const spec::TensorType& type);

inline bool IsFloat(spec::DataType type) {
  return type >= spec::FLOAT16 && type <= spec::BFLOAT16;
}

// Of a type with known sizes only.
Shape ShapeOf(const spec::TensorType& type);

}  // namespace tl::coreml
