#include "format/quantize.h"

#include <array>
#include <limits>

#include "base/error.h"
#include "base/half.h"
#include "format/quantize_rounding.h"
#include "format/quantize_search.h"

namespace tl {
namespace {

void StoreF32(const float* x, int64_t count, std::byte* out) {
  std::memcpy(out, x, count * sizeof(float));
}

TL_INLINE Ints RoundToBFloat16(const Ints& bits) {
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// Eight at a time, without a branch. Below 2^-14 the steps of float16 are all
// 2^-24, the last bit of 0.5: the addition rounds, and what it added is then
// taken off. From 65520 on it is infinity.
TL_INLINE Ints RoundToFloat16(const Ints& bits) {
  const Ints magnitude = bits & 0x7fffffff;
  const Ints rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  const Ints normal = (rounded >> 13) - (112 << 10);
  const Ints small =
      std::bit_cast<Ints>(std::bit_cast<Floats>(magnitude) + 0.5f) -
      FloatBits(0.5f);
  const Ints finite = magnitude < FloatBits(0x1p-14f) ? small : normal;
  const Ints infinity = Ints{} + 0x7c00;
  const Ints half = finite > infinity ? infinity : finite;
  return (bits >> 16 & 0x8000) | half;
}

// kCount numbers of two bytes, rounded a vector at a time.
template <Ints (*kRound)(const Ints&), int kCount>
struct Run {
  static constexpr int kElements = kCount, kBytes = 2 * kCount;
  TL_INLINE static void Pack(const float* x, std::byte* out) {
    int32_t rounded[std::max(kCount, kLanes)] = {};
    for (int i = 0; i < kCount; i += kLanes) {
      Ints bits = {};
      std::memcpy(&bits, x + i, std::min(kCount, kLanes) * sizeof(float));
      const Ints result = kRound(bits);
      std::memcpy(rounded + i, &result, sizeof(result));
    }
    uint16_t narrow[kCount];
    for (int i = 0; i < kCount; ++i) {
      narrow[i] = static_cast<uint16_t>(rounded[i]);
    }
    std::memcpy(out, narrow, sizeof(narrow));
  }
};

template <Ints (*kRound)(const Ints&)>
void StoreRounded(const float* x, int64_t count, std::byte* out) {
  constexpr int kRun = 64;
  const int64_t whole = count / kRun * kRun;
  PackBlocks<Run<kRound, kRun>>(x, whole / kRun, out);
  PackBlocks<Run<kRound, 1>>(x + whole, count - whole, out + 2 * whole);
}

struct Row {
  DType dtype;
  // What the type holds for certain is this many times kHalfMax: the integers
  // that its float16 scale is multiplied by. 0 where no such scale limits it.
  int reach;
  QuantizeFunction quantize;
};

constexpr auto kRows = std::to_array<Row>({
    {DType::F32, 0, StoreF32},
    {DType::F16, 1, StoreRounded<RoundToFloat16>},
    {DType::BF16, 0, StoreRounded<RoundToBFloat16>},
    {DType::Q4_0, 8, QuantizeQ4_0},
    {DType::Q4_1, 1, QuantizeQ4_1},
    {DType::Q5_0, 16, QuantizeQ5_0},
    {DType::Q5_1, 1, QuantizeQ5_1},
    {DType::Q8_0, 127, QuantizeQ8_0},
    {DType::Q2_K, 15, QuantizeQ2_K},
    {DType::Q3_K, 4 * 31, QuantizeQ3_K},
    {DType::Q4_K, 63, QuantizeQ4_K},
    {DType::Q5_K, 63, QuantizeQ5_K},
    {DType::Q6_K, 31 * 128, QuantizeQ6_K},
    {DType::IQ4_NL, 80, QuantizeIQ4_NL},
    {DType::IQ4_XS, 80 * 31, QuantizeIQ4_XS},
    {DType::TQ1_0, 1, QuantizeTQ1_0},
    {DType::TQ2_0, 1, QuantizeTQ2_0},
    {DType::MXFP4, 0, QuantizeMXFP4},
    {DType::NVFP4, 0, QuantizeNVFP4},
    {DType::Q1_0, 1, QuantizeQ1_0},
    {DType::Q2_0, 1, QuantizeQ2_0},
});

const Row* FindRow(DType dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}

}  // namespace

bool CanQuantize(DType dtype) { return FindRow(dtype) != nullptr; }

void Quantize(DType dtype, std::span<const float> values,
              std::span<std::byte> out) {
  const Row* row = FindRow(dtype);
  TL_CHECK(row != nullptr);
  const DTypeInfo& info = Info(dtype);
  const size_t blocks = values.size() / info.block_elements;
  TL_CHECK(blocks * info.block_elements == values.size() &&
           blocks * info.block_bytes == out.size());
  row->quantize(values.data(), static_cast<int64_t>(blocks), out.data());
}

float MaxMagnitude(DType dtype) {
  const Row* row = FindRow(dtype);
  TL_CHECK(row != nullptr);
  if (dtype == DType::BF16) return 0x1.fep127f;
  if (dtype == DType::MXFP4) return 0x1.8p127f;
  if (dtype == DType::NVFP4) return 448 * 6;
  if (row->reach == 0) return std::numeric_limits<float>::max();
  return kHalfMax * static_cast<float>(row->reach);
}

}  // namespace tl
