#include "tensor/packed.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "tensor/decode.h"

namespace tl {
namespace {

uint8_t Byte(const std::byte* block, int at) {
  return static_cast<uint8_t>(block[at]);
}

float HalfAt(const std::byte* block, int at) {
  return HalfToFloat(
      static_cast<uint16_t>(Byte(block, at) | Byte(block, at + 1) << 8));
}

// Nibbles in ggml's usual order: all low halves, then all high ones.
void UnpackNibbles(const std::byte* from, int half, int8_t* q) {
  for (int i = 0; i < half; ++i) {
    q[i] = static_cast<int8_t>(Byte(from, i) & 15);
    q[half + i] = static_cast<int8_t>(Byte(from, i) >> 4);
  }
}

// Nibbles that index a table of values.
void UnpackCodes(const std::byte* from, int half,
                 const std::array<int8_t, 16>& table, int8_t* q) {
  UnpackNibbles(from, half, q);
  for (int i = 0; i < 2 * half; ++i) q[i] = table[q[i]];
}

void AddTo(int8_t* q, int count, int addend) {
  for (int i = 0; i < count; ++i) q[i] = static_cast<int8_t>(q[i] + addend);
}

void UnpackQ4_0(const std::byte* block, UnpackedBlock& to) {
  to.scale[0] = HalfAt(block, 0);
  UnpackNibbles(block + 2, 16, to.q);
  AddTo(to.q, 32, -8);
}

void UnpackQ4_1(const std::byte* block, UnpackedBlock& to) {
  to.scale[0] = HalfAt(block, 0);
  to.offset[0] = HalfAt(block, 2);
  UnpackNibbles(block + 4, 16, to.q);
}

// Bit i of 32 is the fifth bit of element i.
void AddFifthBits(const std::byte* bits, int8_t* q) {
  for (int i = 0; i < 32; ++i) {
    q[i] = static_cast<int8_t>(q[i] | (Byte(bits, i / 8) >> (i % 8) & 1) << 4);
  }
}

void UnpackQ5_0(const std::byte* block, UnpackedBlock& to) {
  to.scale[0] = HalfAt(block, 0);
  UnpackNibbles(block + 6, 16, to.q);
  AddFifthBits(block + 2, to.q);
  AddTo(to.q, 32, -16);
}

void UnpackQ5_1(const std::byte* block, UnpackedBlock& to) {
  to.scale[0] = HalfAt(block, 0);
  to.offset[0] = HalfAt(block, 2);
  UnpackNibbles(block + 8, 16, to.q);
  AddFifthBits(block + 4, to.q);
}

void UnpackQ8_0(const std::byte* block, UnpackedBlock& to) {
  to.scale[0] = HalfAt(block, 0);
  std::memcpy(to.q, block + 2, 32);
}

// The K types cut 256 elements into halves h of 128, and each into four runs j
// of 32 whose bits lie two (or four) apart in the same bytes.

void UnpackQ2_K(const std::byte* block, UnpackedBlock& to) {
  const float d = HalfAt(block, 80), m = HalfAt(block, 82);
  for (int g = 0; g < 16; ++g) {
    to.scale[g] = d * static_cast<float>(Byte(block, g) & 15);
    to.offset[g] = -(m * static_cast<float>(Byte(block, g) >> 4));
  }
  for (int i = 0; i < 256; ++i) {
    const int h = i / 128, j = i % 128 / 32, l = i % 32;
    to.q[i] = static_cast<int8_t>(Byte(block, 16 + 32 * h + l) >> 2 * j & 3);
  }
}

void UnpackQ3_K(const std::byte* block, UnpackedBlock& to) {
  const float d = HalfAt(block, 108);
  for (int g = 0; g < 16; ++g) {
    const int low = Byte(block, 96 + g % 8) >> 4 * (g / 8) & 15;
    const int high = Byte(block, 104 + g % 4) >> 2 * (g / 4) & 3;
    to.scale[g] = d * static_cast<float>((low | high << 4) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    const int h = i / 128, j = i % 128 / 32, l = i % 32;
    const int low = Byte(block, 32 + 32 * h + l) >> 2 * j & 3;
    const bool high = Byte(block, l) >> (4 * h + j) & 1;
    to.q[i] = static_cast<int8_t>(low - (high ? 0 : 4));
  }
}

// Q4_K and Q5_K: d, m and eight pairs of 6-bit scales and minima in 12 bytes.
void UnpackScalesAndMinima(const std::byte* block, UnpackedBlock& to) {
  const float d = HalfAt(block, 0), m = HalfAt(block, 2);
  const auto packed = [&](int i) { return Byte(block, 4 + i); };
  for (int g = 0; g < 8; ++g) {
    int scale = packed(g) & 63, minimum = packed(g + 4) & 63;
    if (g >= 4) {
      scale = (packed(g + 4) & 15) | packed(g - 4) >> 6 << 4;
      minimum = packed(g + 4) >> 4 | packed(g) >> 6 << 4;
    }
    to.scale[g] = d * static_cast<float>(scale);
    to.offset[g] = -(m * static_cast<float>(minimum));
  }
}

void UnpackQ4_K(const std::byte* block, UnpackedBlock& to) {
  UnpackScalesAndMinima(block, to);
  for (int pair = 0; pair < 4; ++pair) {
    UnpackNibbles(block + 16 + 32 * pair, 32, to.q + 64 * pair);
  }
}

void UnpackQ5_K(const std::byte* block, UnpackedBlock& to) {
  UnpackScalesAndMinima(block, to);
  for (int pair = 0; pair < 4; ++pair) {
    UnpackNibbles(block + 48 + 32 * pair, 32, to.q + 64 * pair);
  }
  for (int i = 0; i < 256; ++i) {
    const int high = Byte(block, 16 + i % 32) >> (i / 32) & 1;
    to.q[i] = static_cast<int8_t>(to.q[i] | high << 4);
  }
}

void UnpackQ6_K(const std::byte* block, UnpackedBlock& to) {
  const float d = HalfAt(block, 208);
  for (int g = 0; g < 16; ++g) {
    to.scale[g] =
        d * static_cast<float>(static_cast<int8_t>(Byte(block, 192 + g)));
  }
  for (int i = 0; i < 256; ++i) {
    const int h = i / 128, j = i % 128 / 32, l = i % 32;
    const int low = Byte(block, 64 * h + 32 * (j % 2) + l) >> 4 * (j / 2) & 15;
    const int high = Byte(block, 128 + 32 * h + l) >> 2 * j & 3;
    to.q[i] = static_cast<int8_t>((low | high << 4) - 32);
  }
}

void UnpackIQ4_NL(const std::byte* block, UnpackedBlock& to) {
  to.scale[0] = HalfAt(block, 0);
  UnpackCodes(block + 2, 16, kIQ4Values, to.q);
}

void UnpackIQ4_XS(const std::byte* block, UnpackedBlock& to) {
  const float d = HalfAt(block, 0);
  const int high_bits = Byte(block, 2) | Byte(block, 3) << 8;
  for (int g = 0; g < 8; ++g) {
    const int low = Byte(block, 4 + g / 2) >> 4 * (g % 2) & 15;
    const int high = high_bits >> 2 * g & 3;
    to.scale[g] = d * static_cast<float>((low | high << 4) - 32);
    UnpackCodes(block + 8 + 16 * g, 16, kIQ4Values, to.q + 32 * g);
  }
}

// Five ternary digits in a byte as a fraction of 3^5: multiplying by 3^n (mod
// 256) brings digit n to the front.
void UnpackTrits(const std::byte* from, int count, int digits, int8_t* q) {
  uint8_t power = 1;
  for (int n = 0; n < digits; ++n, power = static_cast<uint8_t>(power * 3)) {
    for (int i = 0; i < count; ++i) {
      const auto moved = static_cast<uint8_t>(Byte(from, i) * power);
      q[n * count + i] = static_cast<int8_t>((moved * 3 >> 8) - 1);
    }
  }
}

void FillScales(float scale, UnpackedBlock& to, int groups) {
  for (int g = 0; g < groups; ++g) to.scale[g] = scale;
}

void UnpackTQ1_0(const std::byte* block, UnpackedBlock& to) {
  FillScales(HalfAt(block, 52), to, 8);
  UnpackTrits(block, 32, 5, to.q);
  UnpackTrits(block + 32, 16, 5, to.q + 160);
  UnpackTrits(block + 48, 4, 4, to.q + 240);
}

void UnpackTQ2_0(const std::byte* block, UnpackedBlock& to) {
  FillScales(HalfAt(block, 64), to, 8);
  for (int i = 0; i < 256; ++i) {
    const int h = i / 128, j = i % 128 / 32, l = i % 32;
    to.q[i] = static_cast<int8_t>((Byte(block, 32 * h + l) >> 2 * j & 3) - 1);
  }
}

void UnpackMXFP4(const std::byte* block, UnpackedBlock& to) {
  // Half of 2^(e - 127), exact down to the denormals.
  to.scale[0] = DecodeF8E8M0(Byte(block, 0)) * 0.5f;
  UnpackCodes(block + 1, 16, kE2M1Twice, to.q);
}

// E4M3 without sign and NaN: the codes that would be NaN are zero.
float ScaleNVFP4(uint8_t code) {
  return code == 0x7f || code == 0xff ? 0 : DecodeF8E4M3(code & 0x7f) * 0.5f;
}

void UnpackNVFP4(const std::byte* block, UnpackedBlock& to) {
  for (int g = 0; g < 4; ++g) {
    to.scale[g] = ScaleNVFP4(Byte(block, g));
    UnpackCodes(block + 4 + 8 * g, 8, kE2M1Twice, to.q + 16 * g);
  }
}

void UnpackQ1_0(const std::byte* block, UnpackedBlock& to) {
  FillScales(HalfAt(block, 0), to, 4);
  for (int i = 0; i < 128; ++i) {
    to.q[i] = Byte(block, 2 + i / 8) >> (i % 8) & 1 ? 1 : -1;
  }
}

void UnpackQ2_0(const std::byte* block, UnpackedBlock& to) {
  FillScales(HalfAt(block, 0), to, 2);
  for (int i = 0; i < 64; ++i) {
    to.q[i] =
        static_cast<int8_t>((Byte(block, 2 + i / 4) >> 2 * (i % 4) & 3) - 1);
  }
}

}  // namespace

const PackedType& PackedTypeOf(DType dtype) {
  using enum DType;
  struct Row {
    DType dtype;
    int group;
    bool has_offset;
    void (*unpack)(const std::byte*, UnpackedBlock&);
  };
  static constexpr auto kRows = std::to_array<Row>({
      {Q4_0, 32, false, UnpackQ4_0},
      {Q4_1, 32, true, UnpackQ4_1},
      {Q5_0, 32, false, UnpackQ5_0},
      {Q5_1, 32, true, UnpackQ5_1},
      {Q8_0, 32, false, UnpackQ8_0},
      {Q2_K, 16, true, UnpackQ2_K},
      {Q3_K, 16, false, UnpackQ3_K},
      {Q4_K, 32, true, UnpackQ4_K},
      {Q5_K, 32, true, UnpackQ5_K},
      {Q6_K, 16, false, UnpackQ6_K},
      {IQ4_NL, 32, false, UnpackIQ4_NL},
      {IQ4_XS, 32, false, UnpackIQ4_XS},
      {TQ1_0, 32, false, UnpackTQ1_0},
      {TQ2_0, 32, false, UnpackTQ2_0},
      {MXFP4, 32, false, UnpackMXFP4},
      {NVFP4, 16, false, UnpackNVFP4},
      {Q1_0, 32, false, UnpackQ1_0},
      {Q2_0, 32, false, UnpackQ2_0},
  });
  static const auto kTypes = [] {
    std::array<PackedType, 256> types{};
    for (const Row& row : kRows) {
      const DTypeInfo& info = Info(row.dtype);
      types[static_cast<size_t>(row.dtype)] = {
          info.block_elements, info.block_bytes, row.group, row.has_offset,
          row.unpack};
    }
    return types;
  }();
  const PackedType& type = kTypes[static_cast<size_t>(dtype)];
  TL_CHECK(type.unpack != nullptr);
  return type;
}

void DecodeBlock(const PackedType& type, const std::byte* block,
                 float* values) {
  UnpackedBlock unpacked;
  type.unpack(block, unpacked);
  for (int i = 0; i < type.block; ++i) {
    const int g = i / type.group;
    const float product = unpacked.scale[g] * static_cast<float>(unpacked.q[i]);
    values[i] = type.has_offset ? product + unpacked.offset[g] : product;
  }
}

}  // namespace tl
