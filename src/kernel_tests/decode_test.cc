#include "tensor/decode.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernel_tests/packed_test.h"

namespace tl::TL_KERNELS {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Decoded {
  TestArray array;
  DecodeCounts counts;
};

// Decodes bytes that begin `shift` bytes into their block.
Decoded DecodeBytesOf(DType from, DType to, const void* bytes, int64_t count,
                      int shift) {
  TestArray input = {from, {count}, {1}, nullptr, 0, 0};
  input.shift = shift;
  input.block_bytes = shift + count * ElementBytes(from);
  input.block = AllocateHost(input.block_bytes);
  if (count > 0) {
    std::memcpy(input.block.get() + shift, bytes, count * ElementBytes(from));
  }
  Decoded decoded = {Poisoned(to, {count}), {}};
  KernelArgs args;
  args.dtype = to;
  args.counts = &decoded.counts;
  RunKernel(Decode, {input}, {decoded.array}, args);
  return decoded;
}

template <class T>
Decoded DecodeValues(DType from, DType to, const std::vector<T>& values,
                     int shift = 0) {
  return DecodeBytesOf(from, to, values.data(), values.size(), shift);
}

void ExpectCounts(const DecodeCounts& counts, int64_t overflowed,
                  int64_t flushed, int64_t nan) {
  EXPECT_EQ(counts.overflowed, overflowed);
  EXPECT_EQ(counts.flushed, flushed);
  EXPECT_EQ(counts.nan, nan);
}

uint16_t HalfAt(const Decoded& decoded, int64_t i) {
  return reinterpret_cast<const uint16_t*>(decoded.array.block.get())[i];
}

// Every value that a test of one lane should also see in a full vector.
template <class T>
std::vector<T> Repeated(const std::vector<T>& values, int times) {
  std::vector<T> all;
  for (int i = 0; i < times; ++i) {
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

TEST(Decode, RoundsF64OnceToHalf) {
  const std::vector<double> values = {1 + 0x1p-11 + 0x1p-40,
                                      1 + 0x3p-11 - 0x1p-40,
                                      65520 - 0x1p-20,
                                      0x1p-25 * (1 + 0x1p-30),
                                      -(1 + 0x1p-11 + 0x1p-40),
                                      1e300,
                                      -1e-300,
                                      0.1};
  const std::vector<uint16_t> want = {0x3c01, 0x3c01, 0x7bff, 0x0001,
                                      0xbc01, 0x7c00, 0x8000, 0x2e66};
  ForEachTarget([&] {
    for (int times : {1, 9}) {
      const Decoded decoded =
          DecodeValues(DType::F64, DType::F16, Repeated(values, times), 3);
      for (size_t i = 0; i < want.size() * times; ++i) {
        EXPECT_EQ(HalfAt(decoded, i), want[i % want.size()]) << i;
      }
      ExpectCounts(decoded.counts, times, times, 0);
    }
  });
}

TEST(Decode, RoundsRandomF64AsTheReferenceDoes) {
  std::mt19937_64 random(1);
  std::vector<double> values;
  for (int i = 0; i < 20000; ++i) {
    // All exponents around f16's range, all mantissas.
    const uint64_t exponent = 1023 - 30 + random() % 50;
    const uint64_t bits = random() >> 12 | exponent << 52 | random() << 63;
    values.push_back(std::bit_cast<double>(bits));
  }
  ForEachTarget([&] {
    const Decoded decoded = DecodeValues(DType::F64, DType::F16, values);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(HalfAt(decoded, i), DoubleToHalf(values[i])) << values[i];
    }
  });
}

TEST(Decode, RoundsF32TiesToEvenAndCountsWhatIsLost) {
  const std::vector<float> values = {65504,
                                     65519.996f,
                                     65520,
                                     -1e30f,
                                     0x1p-24f,
                                     0x1p-25f,
                                     std::nextafter(0x1p-25f, 1.0f),
                                     0x1p-14f,
                                     6.0975552e-5f,
                                     -0.0f,
                                     2049,
                                     2051,
                                     0.0f,
                                     float(kInf),
                                     float(-kInf),
                                     float(kNaN)};
  const std::vector<uint16_t> want = {
      0x7bff, 0x7bff, 0x7c00, 0xfc00, 0x0001, 0x0000, 0x0001, 0x0400,
      0x03ff, 0x8000, 0x6800, 0x6802, 0x0000, 0x7c00, 0xfc00, 0x7e00};
  ForEachTarget([&] {
    for (int times : {1, 3, 200}) {
      const Decoded decoded =
          DecodeValues(DType::F32, DType::F16, Repeated(values, times), 1);
      for (size_t i = 0; i < want.size() * times; ++i) {
        EXPECT_EQ(HalfAt(decoded, i), want[i % want.size()]) << i;
      }
      ExpectCounts(decoded.counts, 2 * times, times, 3 * times);
    }
  });
}

TEST(Decode, ConvertsEveryBFloat16) {
  std::vector<uint16_t> codes(65536);
  for (int i = 0; i < 65536; ++i) codes[i] = static_cast<uint16_t>(i);
  ForEachTarget([&] {
    const Decoded half = DecodeValues(DType::BF16, DType::F16, codes, 1);
    const Decoded wide = DecodeValues(DType::BF16, DType::F32, codes);
    for (int i = 0; i < 65536; ++i) {
      const float value = BFloat16ToFloat(codes[i]);
      ASSERT_EQ(HalfAt(half, i), FloatToHalf(value)) << i;
      ASSERT_EQ(reinterpret_cast<const uint32_t*>(wide.array.block.get())[i],
                std::bit_cast<uint32_t>(value));
    }
    // Of both signs.
    ExpectCounts(half.counts, 2 * 14336, 2 * 13056, 2 * 128);
    ExpectCounts(wide.counts, 0, 0, 2 * 128);
  });
}

TEST(Decode, CopiesHalvesWithTheirNaNPayloads) {
  std::vector<uint16_t> codes(65536);
  for (int i = 0; i < 65536; ++i) codes[i] = static_cast<uint16_t>(i);
  ForEachTarget([&] {
    const Decoded copy = DecodeValues(DType::F16, DType::F16, codes, 1);
    EXPECT_EQ(std::memcmp(copy.array.block.get(), codes.data(), 131072), 0);
    ExpectCounts(copy.counts, 0, 0, 2 * 1024);
    const Decoded wide = DecodeValues(DType::F16, DType::F32, codes, 1);
    for (int i = 0; i < 65536; ++i) {
      ASSERT_EQ(reinterpret_cast<const uint32_t*>(wide.array.block.get())[i],
                std::bit_cast<uint32_t>(HalfToFloat(codes[i])));
    }
  });
}

TEST(Decode, KeepsF32AndNarrowsF64) {
  const std::vector<float> floats = {1.5f, float(kNaN), -0.0f, 1e38f};
  const std::vector<double> doubles = {0.1, 1e39, -1e-50, kInf, 3e38, -0.0};
  ForEachTarget([&] {
    const Decoded same =
        DecodeValues(DType::F32, DType::F32, Repeated(floats, 10), 2);
    for (int i = 0; i < 40; ++i) {
      EXPECT_EQ(reinterpret_cast<const uint32_t*>(same.array.block.get())[i],
                std::bit_cast<uint32_t>(floats[i % 4]));
    }
    ExpectCounts(same.counts, 0, 0, 10);
    const Decoded narrow =
        DecodeValues(DType::F64, DType::F32, Repeated(doubles, 7), 5);
    ExpectClose(narrow.array, Repeated(doubles, 7), 0);
    ExpectCounts(narrow.counts, 7, 7, 7);
  });
}

struct ByteCase {
  int code;
  double value;
};

void ExpectByteValues(DType dtype, const std::vector<ByteCase>& cases) {
  ForEachTarget([&] {
    for (DType to : {DType::F16, DType::F32}) {
      std::vector<uint8_t> codes;
      std::vector<double> values;
      for (const ByteCase& c : cases) {
        codes.push_back(static_cast<uint8_t>(c.code));
        values.push_back(c.value);
      }
      ExpectClose(DecodeValues(dtype, to, codes).array, values, 0);
    }
  });
}

TEST(Decode, KnowsTheEightBitFloats) {
  ExpectByteValues(DType::F8_E4M3, {{0x00, 0},
                                    {0x01, 0x1p-9},
                                    {0x08, 0x1p-6},
                                    {0x38, 1},
                                    {0xb9, -1.125},
                                    {0x7e, 448},
                                    {0x7f, kNaN},
                                    {0xff, kNaN}});
  ExpectByteValues(DType::F8_E5M2, {{0x01, 0x1p-16},
                                    {0x3c, 1},
                                    {0xc1, -2.5},
                                    {0x7b, 57344},
                                    {0x7c, kInf},
                                    {0xfc, -kInf},
                                    {0x7d, kNaN}});
  ExpectByteValues(
      DType::F8_E4M3FNUZ,
      {{0x01, 0x1p-10}, {0x40, 1}, {0x7f, 240}, {0xff, -240}, {0x80, kNaN}});
  ExpectByteValues(DType::F8_E5M2FNUZ,
                   {{0x01, 0x1p-17}, {0x40, 1}, {0x7f, 57344}, {0x80, kNaN}});
  ExpectByteValues(DType::F8_E8M0,
                   {{127, 1}, {130, 8}, {120, 0x1p-7}, {255, kNaN}});
}

TEST(Decode, CountsWhatBytesLose) {
  std::vector<uint8_t> codes(256);
  for (int i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i);
  const auto counts = [&](DType dtype) {
    return DecodeValues(dtype, DType::F16, codes).counts;
  };
  ExpectCounts(counts(DType::F8_E4M3), 0, 0, 2);
  ExpectCounts(counts(DType::F8_E5M2), 0, 0, 8);
  ExpectCounts(counts(DType::F8_E4M3FNUZ), 0, 0, 1);
  ExpectCounts(counts(DType::F8_E5M2FNUZ), 0, 0, 1);
  // 2^16 .. 2^127 overflow, 2^-127 .. 2^-25 vanish.
  ExpectCounts(counts(DType::F8_E8M0), 112, 103, 1);
}

// Blocks whose scales are any bits: values of all sizes, infinities and NaN.
TEST(Decode, MakesOfPackedTypesWhatTheReferenceDoes) {
  for (DType dtype : PackedDTypes()) {
    SCOPED_TRACE(Info(dtype).name);
    const int64_t count = 7 * Info(dtype).block_elements;
    for (bool ordinary : {true, false}) {
      std::vector<std::byte> blocks = RandomBlocks(dtype, count, 1);
      std::mt19937 random(2);
      for (std::byte& byte : blocks) {
        if (!ordinary) byte = static_cast<std::byte>(random());
      }
      std::vector<float> want(count);
      tl::Decode(dtype, blocks, want);
      DecodeCounts lost;
      for (float value : want) {
        lost.nan += !std::isfinite(value);
        lost.overflowed +=
            std::isfinite(value) && std::abs(value) >= kHalfOverflow;
        lost.flushed += value != 0 && std::abs(value) <= kHalfFlush;
      }
      ForEachTarget([&] {
        const TestArray x = PackedArray(dtype, {count}, blocks);
        for (DType to : {DType::F16, DType::F32}) {
          const TestArray y = Poisoned(to, {count});
          DecodeCounts counts;
          KernelArgs args;
          args.dtype = to;
          args.counts = &counts;
          RunKernel(Decode, {x}, {y}, args);
          ExpectClose(y, std::vector<double>(want.begin(), want.end()), 0);
          if (to == DType::F32) continue;
          ExpectCounts(counts, lost.overflowed, lost.flushed, lost.nan);
        }
      });
    }
  }
}

TEST(Decode, HandlesEverySmallLength) {
  ForEachTarget([] {
    for (int64_t n = 0; n < 70; ++n) {
      std::vector<float> values(n);
      std::vector<double> want(n);
      for (int64_t i = 0; i < n; ++i) want[i] = values[i] = i * 0.25f - 3;
      ExpectClose(DecodeValues(DType::F32, DType::F16, values, 1).array, want,
                  0);
    }
  });
}

// Large enough for results written past the caches.
TEST(Decode, GivesTheSameBitsAndCountsOnAnyNumberOfThreads) {
  const int64_t n = (int64_t{9} << 20) + 3;
  std::vector<float> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = (i % 1000) * 66.0f;
  std::vector<std::byte> first;
  for (int threads : {1, 3}) {
    SetThreads(threads);
    const Decoded decoded = DecodeValues(DType::F32, DType::F16, values, 0);
    // From 993 * 66 = 65538 on: the last 7 of each 1000, none of the rest.
    EXPECT_EQ(decoded.counts.overflowed, n / 1000 * 7);
    const std::vector<std::byte> bits(
        decoded.array.block.get(),
        decoded.array.block.get() + decoded.array.block_bytes);
    if (first.empty()) first = bits;
    EXPECT_EQ(bits, first);
  }
  SetThreads(DefaultThreads());
}

TEST(Decode, RefusesTypesThatAreNotNumbers) {
  const std::vector<int64_t> values = {1, 2};
  try {
    DecodeValues(DType::I64, DType::F16, values);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.text(), "I64 is not a type of numbers to compute with");
  }
}

}  // namespace
}  // namespace tl::TL_KERNELS
