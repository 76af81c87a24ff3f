#include "format/widen.h"

#include "base/error.h"
#include "format/quantize_blocks.h"
#include "tensor/decode.h"

namespace tl {
namespace {

TL_INLINE Ints LoadShorts(const std::byte* from) {
  uint16_t shorts[kLanes];
  std::memcpy(shorts, from, sizeof(shorts));
  Ints wide;
  for (int i = 0; i < kLanes; ++i) wide[i] = shorts[i];
  return wide;
}

// Without a branch: as a float32, a number of float16 is its bits moved, with
// another exponent; below 2^-14 it is a whole number of steps of 2^-24.
TL_INLINE Ints WidenHalf(const Ints& half) {
  const Ints magnitude = half & 0x7fff;
  const Ints normal = (magnitude << 13) + ((127 - 15) << 23);
  const Ints special =
      (magnitude << 13) | 0x7f800000 | ((magnitude > 0x7c00) & 0x400000);
  const Ints small = std::bit_cast<Ints>(
      __builtin_convertvector(magnitude, Floats) * 0x1p-24f);
  Ints bits = magnitude < 0x400 ? small : normal;
  bits = magnitude >= 0x7c00 ? special : bits;
  return bits | (half & 0x8000) << 16;
}

TL_INLINE Ints WidenBFloat16(const Ints& bits) { return bits << 16; }

// Blocks of kCount numbers, read as bytes: the types are the other way round
// from a packing's, the machinery is the same.
template <Ints (*kWiden)(const Ints&)>
TL_INLINE void WidenEach(const std::byte* from, int64_t vectors, float* to) {
  for (int64_t i = 0; i < vectors; ++i) {
    const Ints bits = kWiden(LoadShorts(from + i * kLanes * 2));
    std::memcpy(to + i * kLanes, &bits, sizeof(bits));
  }
}

#if defined(__x86_64__)
template <Ints (*kWiden)(const Ints&)>
[[gnu::target("avx2")]] void WidenEachAvx2(const std::byte* from,
                                           int64_t vectors, float* to) {
  WidenEach<kWiden>(from, vectors, to);
}
#endif

template <Ints (*kWiden)(const Ints&)>
void WidenVectors(const std::byte* from, int64_t vectors, float* to) {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2) return WidenEachAvx2<kWiden>(from, vectors, to);
#endif
  WidenEach<kWiden>(from, vectors, to);
}

}  // namespace

void Widen(DType dtype, std::span<const std::byte> bytes,
           std::span<float> values) {
  if (dtype == DType::F32) {
    TL_CHECK(bytes.size() == values.size() * sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return;
  }
  size_t done = 0;
  if (dtype == DType::F16 || dtype == DType::BF16) {
    const auto vectors = static_cast<int64_t>(values.size() / kLanes);
    done = static_cast<size_t>(vectors) * kLanes;
    if (dtype == DType::F16) {
      WidenVectors<WidenHalf>(bytes.data(), vectors, values.data());
    } else {
      WidenVectors<WidenBFloat16>(bytes.data(), vectors, values.data());
    }
    bytes = bytes.subspan(done * 2);
  }
  Decode(dtype, bytes, values.subspan(done));
}

}  // namespace tl
