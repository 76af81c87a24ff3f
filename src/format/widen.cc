#include "format/widen.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

template <Ints (*kWiden)(const Ints&)>
TL_INLINE void WidenEach(const std::byte* from, int64_t vectors, float* to) {
  for (int64_t i = 0; i < vectors; ++i) {
    const Ints bits = kWiden(LoadShorts(from + i * kLanes * 2));
    std::memcpy(to + i * kLanes, &bits, sizeof(bits));
  }
}

TL_INLINE uint32_t LargestOf(const float* values, int64_t count) {
  int32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, FloatBits(values[i]) & 0x7fffffff);
  }
  return static_cast<uint32_t>(largest);
}

#if defined(__x86_64__)
// Every processor with AVX2 converts float16, too.
bool HasAvx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

[[gnu::target("avx2,f16c")]] void WidenHalvesAvx2(const std::byte* from,
                                                  int64_t vectors, float* to) {
  for (int64_t i = 0; i < vectors; ++i) {
    const auto* halves = reinterpret_cast<const __m128i*>(from) + i;
    _mm256_storeu_ps(to + i * kLanes, _mm256_cvtph_ps(_mm_loadu_si128(halves)));
  }
}

[[gnu::target("avx2")]] void WidenBFloat16Avx2(const std::byte* from,
                                               int64_t vectors, float* to) {
  WidenEach<WidenBFloat16>(from, vectors, to);
}

[[gnu::target("avx2")]] uint32_t LargestOfAvx2(const float* values,
                                               int64_t count) {
  return LargestOf(values, count);
}
#endif

void WidenHalves(const std::byte* from, int64_t vectors, float* to) {
#if defined(__x86_64__)
  if (HasAvx2()) return WidenHalvesAvx2(from, vectors, to);
#endif
  WidenEach<WidenHalf>(from, vectors, to);
}

void WidenBFloat16s(const std::byte* from, int64_t vectors, float* to) {
#if defined(__x86_64__)
  if (HasAvx2()) return WidenBFloat16Avx2(from, vectors, to);
#endif
  WidenEach<WidenBFloat16>(from, vectors, to);
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
      WidenHalves(bytes.data(), vectors, values.data());
    } else {
      WidenBFloat16s(bytes.data(), vectors, values.data());
    }
    bytes = bytes.subspan(done * 2);
  }
  Decode(dtype, bytes, values.subspan(done));
}

uint32_t LargestMagnitudeBits(std::span<const float> values) {
  const auto count = static_cast<int64_t>(values.size());
#if defined(__x86_64__)
  if (HasAvx2()) return LargestOfAvx2(values.data(), count);
#endif
  return LargestOf(values.data(), count);
}

}  // namespace tl
