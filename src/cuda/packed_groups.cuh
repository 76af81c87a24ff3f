// Packed weights 32 neighbouring elements at a time, their integers four in a word:
// for products and for decoding whole matrices. What the blocks are is in
// packed_decode.cuh; here is, for each type, where the integers come from words.
#pragma once

#include "cuda/packed_decode.cuh"

namespace tl::cuda {

inline constexpr int kPackedGroup = 32;  // elements

// Element i is scale[i / 16] * q + offset[i / 16]; q is byte i % 4 of word i / 4.
struct PackedGroup {
  uint32_t q[8];
  float scale[2];
  float offset[2];  // set where the type has offsets

  TL_DEVICE int At(int i) const {
    return static_cast<int8_t>(q[i / 4] >> i % 4 * 8);
  }
};

// Words from any address. Reads no word that holds none of the bytes.
template <int kWords>
TL_DEVICE void LoadWords(const uint8_t* at, uint32_t* words) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  const auto* from = reinterpret_cast<const uint32_t*>(address & ~uintptr_t{3});
  const auto skipped = static_cast<uint32_t>(address & 3);
  const uint32_t selector = 0x3210 + 0x1111 * skipped;
  const uint32_t last = from[skipped == 0 ? kWords - 1 : kWords];
  uint32_t low = from[0];
#pragma unroll
  for (int i = 0; i < kWords; ++i) {
    const uint32_t high = i + 1 < kWords ? from[i + 1] : last;
    words[i] = __byte_perm(low, high, selector);
    low = high;
  }
}

// The same in each of four bytes. value - addend, both from 0 to 127.
TL_DEVICE uint32_t SubtractBytes(uint32_t value, uint32_t addends) {
  return ((value | 0x80808080) - addends) ^ 0x80808080;
}
TL_DEVICE uint32_t EachByte(uint32_t value) { return value * 0x01010101; }

// 16 int8 that nibbles stand for, four in a word.
struct NibbleTable {
  uint32_t words[4];
};
constexpr NibbleTable WordsOf(const std::array<int8_t, 16>& table) {
  const uint64_t low = HalfTable(table, 0), high = HalfTable(table, 8);
  return {{static_cast<uint32_t>(low), static_cast<uint32_t>(low >> 32),
           static_cast<uint32_t>(high), static_cast<uint32_t>(high >> 32)}};
}

TL_DEVICE uint32_t LookUp(uint32_t nibbles, const NibbleTable& table) {
  const uint32_t low = nibbles & 0x07070707;
  const uint32_t selector = (low & 0xf) | (low >> 4 & 0xf0) |
                            (low >> 8 & 0xf00) | (low >> 12 & 0xf000);
  const uint32_t first = __byte_perm(table.words[0], table.words[1], selector);
  const uint32_t second = __byte_perm(table.words[2], table.words[3], selector);
  const uint32_t mask = (nibbles >> 3 & 0x01010101) * 0xff;
  return (first & ~mask) | (second & mask);
}

template <const std::array<int8_t, 16>& table>
TL_DEVICE void LookUpAll(uint32_t (&q)[8]) {
  constexpr NibbleTable kTable = WordsOf(table);
#pragma unroll
  for (int i = 0; i < 8; ++i) q[i] = LookUp(q[i], kTable);
}

// 4 * kWords bytes: all low nibbles, then all high ones.
template <int kWords>
TL_DEVICE void LoadNibbles(const uint8_t* at, uint32_t* q) {
  uint32_t words[kWords];
  LoadWords<kWords>(at, words);
#pragma unroll
  for (int i = 0; i < kWords; ++i) {
    q[i] = words[i] & 0x0f0f0f0f;
    q[kWords + i] = words[i] >> 4 & 0x0f0f0f0f;
  }
}

// Field `at` of `mask` in each of 32 bytes.
TL_DEVICE void LoadBits(const uint8_t* bytes, int at, uint32_t mask,
                        uint32_t (&q)[8]) {
  LoadWords<8>(bytes, q);
#pragma unroll
  for (int i = 0; i < 8; ++i) q[i] = q[i] >> at & EachByte(mask);
}

TL_DEVICE void SubtractAll(uint32_t (&q)[8], uint32_t addend) {
#pragma unroll
  for (int i = 0; i < 8; ++i) q[i] = SubtractBytes(q[i], EachByte(addend));
}

// Bit i of 32 is the fifth bit of element i.
TL_DEVICE void AddFifthBits(const uint8_t* at, uint32_t (&q)[8]) {
  uint32_t bits;
  LoadWords<1>(at, &bits);
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const uint32_t four = bits >> 4 * i;
    q[i] |= (four & 1) << 4 | (four & 2) << 11 | (four & 4) << 18 |
            (four & 8) << 25;
  }
}

// Digit n of each of 4 * kWords bytes that hold five, or four, to the base 3.
template <int kWords>
TL_DEVICE void LoadTrits(const uint8_t* at, int n, uint32_t* q) {
  for (int i = 0; i < kWords; ++i) {
    q[i] = 0;
    for (int byte = 0; byte < 4; ++byte) {
      q[i] |= (Trit(at[4 * i + byte], n) & 0xffu) << 8 * byte;
    }
  }
}

// Load(block, g, q): the integers of elements 32 * g .. of a block.
template <DType dtype>
struct Integers;

template <>
struct Integers<DType::Q4_0> {
  TL_DEVICE static void Load(const uint8_t* block, int, uint32_t (&q)[8]) {
    LoadNibbles<4>(block + 2, q);
    SubtractAll(q, 8);
  }
};

template <>
struct Integers<DType::Q4_1> {
  TL_DEVICE static void Load(const uint8_t* block, int, uint32_t (&q)[8]) {
    LoadNibbles<4>(block + 4, q);
  }
};

template <>
struct Integers<DType::Q5_0> {
  TL_DEVICE static void Load(const uint8_t* block, int, uint32_t (&q)[8]) {
    LoadNibbles<4>(block + 6, q);
    AddFifthBits(block + 2, q);
    SubtractAll(q, 16);
  }
};

template <>
struct Integers<DType::Q5_1> {
  TL_DEVICE static void Load(const uint8_t* block, int, uint32_t (&q)[8]) {
    LoadNibbles<4>(block + 8, q);
    AddFifthBits(block + 4, q);
  }
};

template <>
struct Integers<DType::Q8_0> {
  TL_DEVICE static void Load(const uint8_t* block, int, uint32_t (&q)[8]) {
    LoadWords<8>(block + 2, q);
  }
};

template <>
struct Integers<DType::Q2_K> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
    LoadBits(block + 16 + 32 * (g / 4), 2 * (g % 4), 3, q);
  }
};

template <>
struct Integers<DType::Q3_K> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
    uint32_t high[8];
    LoadBits(block, g, 1, high);
    LoadBits(block + 32 + 32 * (g / 4), 2 * (g % 4), 3, q);
#pragma unroll
    for (int i = 0; i < 8; ++i) q[i] |= high[i] << 2;
    SubtractAll(q, 4);
  }
};

template <>
struct Integers<DType::Q4_K> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
    LoadBits(block + 16 + 32 * (g / 2), 4 * (g % 2), 15, q);
  }
};

template <>
struct Integers<DType::Q5_K> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
    uint32_t high[8];
    LoadBits(block + 16, g, 1, high);
    LoadBits(block + 48 + 32 * (g / 2), 4 * (g % 2), 15, q);
#pragma unroll
    for (int i = 0; i < 8; ++i) q[i] |= high[i] << 4;
  }
};

template <>
struct Integers<DType::Q6_K> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
    const int half = g / 4, j = g % 4;
    uint32_t high[8];
    LoadBits(block + 128 + 32 * half, 2 * j, 3, high);
    LoadBits(block + 64 * half + 32 * (j % 2), 4 * (j / 2), 15, q);
#pragma unroll
    for (int i = 0; i < 8; ++i) q[i] |= high[i] << 4;
    SubtractAll(q, 32);
  }
};

template <>
struct Integers<DType::IQ4_NL> {
  TL_DEVICE static void Load(const uint8_t* block, int, uint32_t (&q)[8]) {
    LoadNibbles<4>(block + 2, q);
    LookUpAll<kIQ4Values>(q);
  }
};

template <>
struct Integers<DType::IQ4_XS> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
    LoadNibbles<4>(block + 8 + 16 * g, q);
    LookUpAll<kIQ4Values>(q);
  }
};

template <>
struct Integers<DType::TQ1_0> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
    if (g < 5) {
      LoadTrits<8>(block, g, q);
    } else if (g < 7) {
      LoadTrits<4>(block + 32, 2 * g - 10, q);
      LoadTrits<4>(block + 32, 2 * g - 9, q + 4);
    } else {
      LoadTrits<4>(block + 32, 4, q);
      for (int n = 0; n < 4; ++n) LoadTrits<1>(block + 48, n, q + 4 + n);
    }
  }
};

template <>
struct Integers<DType::TQ2_0> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
    LoadBits(block + 32 * (g / 4), 2 * (g % 4), 3, q);
    SubtractAll(q, 1);
  }
};

template <>
struct Integers<DType::MXFP4> {
  TL_DEVICE static void Load(const uint8_t* block, int, uint32_t (&q)[8]) {
    LoadNibbles<4>(block + 1, q);
    LookUpAll<kE2M1Twice>(q);
  }
};

template <>
struct Integers<DType::NVFP4> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      LoadNibbles<2>(block + 4 + 16 * g + 8 * i, q + 4 * i);
    }
    LookUpAll<kE2M1Twice>(q);
  }
};

template <>
struct Integers<DType::Q1_0> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
    uint32_t bits;
    LoadWords<1>(block + 2 + 4 * g, &bits);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const uint32_t four = bits >> 4 * i;
      q[i] = (four & 1) << 1 | (four & 2) << 8 | (four & 4) << 15 |
             (four & 8) << 22;
    }
    SubtractAll(q, 1);
  }
};

template <>
struct Integers<DType::Q2_0> {
  TL_DEVICE static void Load(const uint8_t* block, int g, uint32_t (&q)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const auto four = uint32_t{block[2 + 8 * g + i]};
      q[i] = (four & 3) | (four & 12) << 6 | (four & 48) << 12 |
             (four & 192) << 18;
    }
    SubtractAll(q, 1);
  }
};

// Group `group` of a row of blocks.
template <class Type>
TL_DEVICE void UnpackGroup(const uint8_t* blocks, int64_t group,
                           PackedGroup& to) {
  constexpr int kGroups = Type::kBlock / kPackedGroup;
  constexpr int kScales = kPackedGroup / Type::kGroup;
  const uint8_t* block = blocks + group / kGroups * Type::kBytes;
  const int g = static_cast<int>(group % kGroups);
  Integers<Type::kDType>::Load(block, g, to.q);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int scale = g * kScales + i % kScales;
    to.scale[i] = Type::Scale(block, scale);
    if constexpr (Type::kHasOffset) to.offset[i] = Type::Offset(block, scale);
  }
}

// Rounded twice, as ggml's decoder does.
template <class Type>
TL_DEVICE float DecodedAt(const PackedGroup& group, int i) {
  const float product =
      __fmul_rn(group.scale[i / 16], static_cast<float>(group.At(i)));
  if constexpr (Type::kHasOffset) {
    return __fadd_rn(product, group.offset[i / 16]);
  } else {
    return product;
  }
}

}  // namespace tl::cuda
