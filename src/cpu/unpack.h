// Packed blocks as small integers with scales (tensor/packed.h), many at a time
// and with vectors where a type is worth it: what products, row look-up and
// Decode read packed weights through. Bit for bit what room tensor unpacks.
// unpack.cc takes blocks apart, unpack_decode.cc makes numbers of them.
#pragma once

#include <cstdint>

#include "tensor/packed.h"

namespace tl::cpu {

// Elements that are unpacked at once: they stay in the first-level cache.
inline constexpr int64_t kUnpackRun = 1024;
static_assert(kUnpackRun % kMaxBlock == 0);

struct UnpackedRun {
  alignas(64) int8_t q[kUnpackRun];
  // Per group of the type.
  alignas(64) float scale[kUnpackRun / kMinGroup];
  alignas(64) float offset[kUnpackRun / kMinGroup];
};

// Unpacks `blocks` blocks that follow one another, at most kUnpackRun elements.
using Unpack = void (*)(const std::byte* from, int64_t blocks,
                        UnpackedRun& to);

struct PackedReader {
  PackedType type;
  Unpack unpack;

  int64_t BytesOf(int64_t elements) const {
    return elements / type.block * type.bytes;
  }
  // `count` elements, whole blocks, as float.
  void Decode(const std::byte* from, int64_t count, float* to) const;
  // The same rounded to f16. False if something may have been lost on the way:
  // overflowed, flushed to zero, or not finite to begin with.
  bool DecodeHalves(const std::byte* from, int64_t count, uint16_t* to) const;
};

// For the best instruction set of this machine. `dtype` is packed.
PackedReader PackedReaderOf(DType dtype);

}  // namespace tl::cpu
