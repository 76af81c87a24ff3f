// Packed types: blocks of small integers that share scales, as GGUF stores
// weights. Every one of them is, group by group of a block,
//
//   value = scale * q + offset        with q an int8
//
// and bit for bit what ggml computes, if the product and the sum are each
// rounded to float32 (no fused multiply-add). So unpacking a block is all that
// is to be known about a type; decoding, row lookup and products follow from
// it. Which types there are: dtype.def. Vector versions: room cpu.
// Source: ggml-common.h (layouts) and ggml-quants.c (dequantize_row_*).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tl {

inline constexpr int kMaxBlock = 256;       // elements
inline constexpr int kMinGroup = 16;        // elements
inline constexpr int kMaxGroups = kMaxBlock / kMinGroup;

// What the nibbles of IQ4_NL and IQ4_XS stand for.
inline constexpr std::array<int8_t, 16> kIQ4Values = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
// And those of MXFP4 and NVFP4: E2M1 doubled, to be whole numbers. The code of
// minus zero is plus zero.
inline constexpr std::array<int8_t, 16> kE2M1Twice = {
    0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct UnpackedBlock {
  alignas(64) int8_t q[kMaxBlock];
  // Of group g: elements g * group .. (g + 1) * group - 1.
  float scale[kMaxGroups];
  float offset[kMaxGroups];  // meaningful where the type has offsets
};

struct PackedType {
  int block;         // elements
  int bytes;         // of a block
  int group;         // elements that share a scale: 16 or 32
  bool has_offset;   // else value = scale * q, which keeps the sign of a zero
  void (*unpack)(const std::byte* block, UnpackedBlock& to);
};

// `dtype` is of kind kPacked.
const PackedType& PackedTypeOf(DType dtype);

// values[0 .. block) of one block.
void DecodeBlock(const PackedType& type, const std::byte* block, float* values);

}  // namespace tl
