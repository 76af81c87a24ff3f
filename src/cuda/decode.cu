// Storage bytes, at any alignment, to f16 or f32, counting what is lost, in one
// pass. A thread makes eight neighbours at a time.
#include <type_traits>

#include "cuda/block_reduce.cuh"
#include "cuda/decode_counts.h"
#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/packed_decode.cuh"
#include "ops/run_checks.h"

namespace tl::cuda {
namespace {

constexpr int kCount = 8;

// What one thread lost.
struct Lost {
  unsigned overflowed = 0, flushed = 0, nan = 0;
};

// The magnitudes from which a finite value becomes infinity, and up to which
// one that is not zero becomes zero: half a step past the largest, half of the
// smallest.
template <class To>
TL_DEVICE void Count(double value, Lost& lost) {
  constexpr bool kHalf = sizeof(To) == 2;
  constexpr double kOverflow = kHalf ? kHalfOverflow : 0x1.ffffffp127;
  constexpr double kFlush = kHalf ? kHalfFlush : 0x1p-150;
  const double magnitude = fabs(value);
  if (!(magnitude <= 0x1.fffffffffffffp1023)) {
    ++lost.nan;
  } else if (magnitude >= kOverflow) {
    ++lost.overflowed;
  } else if (magnitude != 0 && magnitude <= kFlush) {
    ++lost.flushed;
  }
}

// Conversions of the card make one NaN of all; here payloads survive.
TL_DEVICE void Convert(float value, uint16_t& to) {
  to = value != value ? FloatToHalf(value) : ToHalf(value);
}
TL_DEVICE void Convert(double value, uint16_t& to) { to = DoubleToHalf(value); }
TL_DEVICE void Convert(float value, float& to) { to = value; }
TL_DEVICE void Convert(double value, float& to) {
  to = static_cast<float>(value);
}

// Types whose elements have bytes of their own.
template <DType dtype>
struct Stored;
template <>
struct Stored<DType::F64> {
  using Bits = double;
  TL_DEVICE static double Value(double x) { return x; }
};
template <>
struct Stored<DType::F32> {
  using Bits = float;
  TL_DEVICE static float Value(float x) { return x; }
};
template <>
struct Stored<DType::F16> {
  using Bits = uint16_t;
  TL_DEVICE static float Value(uint16_t bits) { return HalfToFloat(bits); }
};
template <>
struct Stored<DType::BF16> {
  using Bits = uint16_t;
  TL_DEVICE static float Value(uint16_t bits) { return BFloat16ToFloat(bits); }
};
#define TL_STORED_BYTE(id, decode)                                      \
  template <>                                                           \
  struct Stored<DType::id> {                                            \
    using Bits = uint8_t;                                               \
    TL_DEVICE static float Value(uint8_t byte) { return decode(byte); } \
  };
TL_STORED_BYTE(F8_E4M3, DecodeF8E4M3)
TL_STORED_BYTE(F8_E5M2, DecodeF8E5M2)
TL_STORED_BYTE(F8_E4M3FNUZ, DecodeF8E4M3FNUZ)
TL_STORED_BYTE(F8_E5M2FNUZ, DecodeF8E5M2FNUZ)
TL_STORED_BYTE(F8_E8M0, DecodeF8E8M0)
#undef TL_STORED_BYTE

template <class Bits>
TL_DEVICE void ReadBytes(const uint8_t* from, Bits& to) {
  uint8_t bytes[sizeof(Bits)];
#pragma unroll
  for (size_t i = 0; i < sizeof(Bits); ++i) bytes[i] = from[i];
  memcpy(&to, bytes, sizeof(Bits));
}

// Sets the first `count` of eight elements and counts what they lose.
template <class Type, class To>
struct NumberReader {
  using Bits = typename Type::Bits;
  const uint8_t* from;
  bool aligned;

  TL_DEVICE void Read(int64_t first, int count, To (&to)[kCount], bool counting,
                      Lost& lost) const {
    Pack<Bits, kCount> stored = {};
    const uint8_t* at = from + first * static_cast<int64_t>(sizeof(Bits));
    if (aligned && count == kCount) {
      stored = LoadPack<kCount>(reinterpret_cast<const Bits*>(at));
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        if (i < count) ReadBytes(at + i * sizeof(Bits), stored.at[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const auto value = Type::Value(stored.at[i]);
      if constexpr (std::is_same_v<Bits, To> && std::is_same_v<To, uint16_t> &&
                    std::is_same_v<Type, Stored<DType::F16>>) {
        to[i] = stored.at[i];
      } else {
        Convert(value, to[i]);
      }
      if (counting && i < count) Count<To>(value, lost);
    }
  }
};

// Whole blocks: `count` is always eight.
template <class Type, class To>
struct BlockReader {
  const uint8_t* from;

  TL_DEVICE void Read(int64_t first, int, To (&to)[kCount], bool counting,
                      Lost& lost) const {
    float values[kCount];
    const uint8_t* block = from + first / Type::kBlock * Type::kBytes;
    DecodeEight<Type>(block, static_cast<int>(first % Type::kBlock), values);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      Convert(values[i], to[i]);
      if (counting) Count<To>(values[i], lost);
    }
  }
};

TL_DEVICE void AddToCount(unsigned lost, unsigned long long* count) {
  const unsigned of_warp = WarpReduce(lost, Plus{});
  if (Lane() == 0 && of_warp != 0) {
    atomicAdd(count, static_cast<unsigned long long>(of_warp));
  }
}

// `counts`: null where nobody wants to know.
template <class Reader, class To>
__global__ void __launch_bounds__(256)
    DecodeKernel(Reader reader, To* to, int64_t size, bool aligned,
                 LostCounts* counts) {
  Lost lost;
  const int64_t step = GridThreads() * kCount;
  for (int64_t at = GridThread() * kCount; at < size; at += step) {
    const int count = static_cast<int>(size - at < kCount ? size - at : kCount);
    Pack<To, kCount> pack;
    reader.Read(at, count, pack.at, counts != nullptr, lost);
    if (aligned && count == kCount) {
      StorePack(pack, to + at);
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        if (i < count) to[at + i] = pack.at[i];
      }
    }
  }
  if (counts == nullptr) return;
  AddToCount(lost.overflowed, &counts->overflowed);
  AddToCount(lost.flushed, &counts->flushed);
  AddToCount(lost.nan, &counts->nan);
}

template <class Reader, class To>
void RunDecode(const Reader& reader, const View& result, DecodeCounts* to) {
  // Now that nothing can be refused any more: who asks for counters must live
  // until they are read.
  LostCounts* counts = to == nullptr ? nullptr : CountersFor(to);
  const int64_t size = result.size();
  if (size == 0) return;
  Launch(DecodeKernel<Reader, To>, ShapeFor(CeilDiv(size, kCount)), reader,
         result.as<To>(), size, IsAligned(result.data), counts);
}

// Calls f with the struct of a type that is not packed.
template <class F>
void WithStored(DType dtype, F f) {
  switch (dtype) {
    case DType::F64:
      return f(Stored<DType::F64>{});
    case DType::F32:
      return f(Stored<DType::F32>{});
    case DType::F16:
      return f(Stored<DType::F16>{});
    case DType::BF16:
      return f(Stored<DType::BF16>{});
    case DType::F8_E4M3:
      return f(Stored<DType::F8_E4M3>{});
    case DType::F8_E5M2:
      return f(Stored<DType::F8_E5M2>{});
    case DType::F8_E4M3FNUZ:
      return f(Stored<DType::F8_E4M3FNUZ>{});
    case DType::F8_E5M2FNUZ:
      return f(Stored<DType::F8_E5M2FNUZ>{});
    case DType::F8_E8M0:
      return f(Stored<DType::F8_E8M0>{});
    default:
      FailNotNumbers(dtype);
  }
}

template <class To>
void DecodeTo(const View& x, const View& result, DecodeCounts* counts) {
  const auto* from = reinterpret_cast<const uint8_t*>(x.data);
  if (IsPacked(x.dtype)) {
    return WithPacked(x.dtype, [&]<class Type>(Type) {
      using Reader = BlockReader<Type, To>;
      RunDecode<Reader, To>(Reader{from}, result, counts);
    });
  }
  WithStored(x.dtype, [&]<class Type>(Type) {
    using Reader = NumberReader<Type, To>;
    RunDecode<Reader, To>(Reader{from, IsAligned(from)}, result, counts);
  });
}

}  // namespace

void Decode(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& result = args.outputs[0];
  WithFloats(result.dtype,
             [&]<class To>(To) { DecodeTo<To>(x, result, args.counts); });
}

}  // namespace tl::cuda
