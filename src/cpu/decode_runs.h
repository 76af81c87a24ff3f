// What storage elements are worth, exactly, and what is lost when they become
// f16 or f32: the definitions that the vector loops of decode_runs.cc fall back
// on. decode.cc uses both.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/half.h"
#include "exec/backend.h"

namespace tl::cpu {

template <class T>
T ReadUnaligned(const std::byte* from, int64_t i) {
  T value;
  std::memcpy(&value, from + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

// The exact values of elements.
struct FromF64 {
  static constexpr int kBytes = 8;
  static double Value(const std::byte* from, int64_t i) {
    return ReadUnaligned<double>(from, i);
  }
};
struct FromF32 {
  static constexpr int kBytes = 4;
  static double Value(const std::byte* from, int64_t i) {
    return ReadUnaligned<float>(from, i);
  }
};
struct FromF16 {
  static constexpr int kBytes = 2;
  static double Value(const std::byte* from, int64_t i) {
    return HalfToFloat(ReadUnaligned<uint16_t>(from, i));
  }
};
struct FromBF16 {
  static constexpr int kBytes = 2;
  static double Value(const std::byte* from, int64_t i) {
    return BFloat16ToFloat(ReadUnaligned<uint16_t>(from, i));
  }
};

// The magnitudes from which a finite value becomes infinity, and up to which
// one that is not zero becomes zero: half a step past the largest, half of the
// smallest.
template <class To>
inline constexpr double kOverflow = sizeof(To) == 2 ? kHalfOverflow
                                                    : 0x1.ffffffp127;
template <class To>
inline constexpr double kFlush = sizeof(To) == 2 ? kHalfFlush : 0x1p-150;

template <class To>
void Count(double value, DecodeCounts& counts) {
  const double magnitude = std::abs(value);
  if (!std::isfinite(value)) {
    ++counts.nan;
  } else if (magnitude >= kOverflow<To>) {
    ++counts.overflowed;
  } else if (value != 0 && magnitude <= kFlush<To>) {
    ++counts.flushed;
  }
}

inline void Convert(double value, uint16_t* to) { *to = DoubleToHalf(value); }
inline void Convert(double value, float* to) {
  *to = static_cast<float>(value);
}

// Converts `count` elements at any alignment and adds to the counts.

using RunDecoder = void (*)(const std::byte* from, std::byte* to, int64_t count,
                            DecodeCounts& counts);

struct RunDecoders {
  // For F64, F32, F16 and BF16 to F16 or F32; null for other types.
  RunDecoder (*find)(DType from, DType to);
  // Copies past the caches; `fence` before others may read.
  void (*stream)(std::byte* to, const std::byte* from, size_t bytes);
  void (*fence)();
};

// For the best instruction set of this machine.
const RunDecoders& GetRunDecoders();

}  // namespace tl::cpu
