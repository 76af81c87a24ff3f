// Storage bytes to f16 or f32, counting what is lost, in one pass. Source bytes
// may be mapped from a file: at any alignment, and nothing past them is read.
#include <algorithm>
#include <array>
#include <limits>
#include <mutex>

#include "base/error.h"
#include "base/parallel.h"
#include "cpu/decode_runs.h"
#include "cpu/kernels.h"
#include "cpu/unpack.h"
#include "ops/run_checks.h"

namespace tl::cpu {
namespace {

// Some 20 us of work, and a multiple of a run.
constexpr int64_t kChunkElements = 128 << 10;

// At most 4 KB of results: they wait in the first-level cache for their way
// past the others.
constexpr int64_t kRunElements = 1024;
static_assert(kRunElements == kUnpackRun);

// Results at least this large are written past the caches.
constexpr int64_t kStreamBytes = 16 << 20;

// The layout of an 8-bit float. Without infinities the largest exponent holds
// numbers, and one code, or one per sign, is NaN.
struct ByteFormat {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  enum class Specials : uint8_t {
    kIeee,            // infinities and NaN at the largest exponent
    kOnesAreNaN,      // 0x7f and 0xff
    kMinusZeroIsNaN,  // 0x80; there is no minus zero
  } specials;
};

float ByteValue(const ByteFormat& format, int code) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const float sign = code & 0x80 ? -1 : 1;
  const int magnitude = code & 0x7f;
  const int exponent = magnitude >> format.mantissa_bits;
  const int mantissa = magnitude & ((1 << format.mantissa_bits) - 1);
  switch (format.specials) {
    case ByteFormat::Specials::kIeee:
      if (exponent == (1 << format.exponent_bits) - 1) {
        return mantissa != 0 ? kNaN
                             : sign * std::numeric_limits<float>::infinity();
      }
      break;
    case ByteFormat::Specials::kOnesAreNaN:
      if (magnitude == 0x7f) return kNaN;
      break;
    case ByteFormat::Specials::kMinusZeroIsNaN:
      if (code == 0x80) return kNaN;
      break;
  }
  const int one = 1 << format.mantissa_bits;
  const int digits = exponent == 0 ? mantissa : mantissa + one;
  const int scale = std::max(exponent, 1) - format.bias - format.mantissa_bits;
  return sign * std::ldexp(static_cast<float>(digits), scale);
}

// Every value of a type of one byte.
using ByteTable = std::array<float, 256>;

ByteTable TableOf(const ByteFormat& format) {
  ByteTable table;
  for (int code = 0; code < 256; ++code) table[code] = ByteValue(format, code);
  return table;
}

// A power of two without sign, 0xff is NaN.
ByteTable ScaleTable() {
  ByteTable table;
  for (int code = 0; code < 255; ++code)
    table[code] = std::ldexp(1.0f, code - 127);
  table[255] = std::numeric_limits<float>::quiet_NaN();
  return table;
}

const ByteTable& ByteTableOf(DType dtype) {
  using Specials = ByteFormat::Specials;
  static const ByteTable e4m3 = TableOf({4, 3, 7, Specials::kOnesAreNaN});
  static const ByteTable e5m2 = TableOf({5, 2, 15, Specials::kIeee});
  static const ByteTable e4m3fnuz =
      TableOf({4, 3, 8, Specials::kMinusZeroIsNaN});
  static const ByteTable e5m2fnuz =
      TableOf({5, 2, 16, Specials::kMinusZeroIsNaN});
  static const ByteTable e8m0 = ScaleTable();
  if (dtype == DType::F8_E4M3) return e4m3;
  if (dtype == DType::F8_E5M2) return e5m2;
  if (dtype == DType::F8_E4M3FNUZ) return e4m3fnuz;
  if (dtype == DType::F8_E5M2FNUZ) return e5m2fnuz;
  if (dtype == DType::F8_E8M0) return e8m0;
  FailNotNumbers(dtype);
}

// A table of results, and of which bytes lose something on the way.
template <class To>
struct ByteDecoder {
  std::array<To, 256> results;
  std::array<bool, 256> lossy;
  const ByteTable& values;

  explicit ByteDecoder(DType from) : values(ByteTableOf(from)) {
    for (int code = 0; code < 256; ++code) {
      Convert(values[code], &results[code]);
      DecodeCounts counts;
      Count<To>(values[code], counts);
      lossy[code] = counts.overflowed + counts.flushed + counts.nan > 0;
    }
  }

  void Run(const std::byte* from, std::byte* to, int64_t count,
           DecodeCounts& counts) const {
    To* out = reinterpret_cast<To*>(to);
    bool any = false;
    for (int64_t i = 0; i < count; ++i) {
      const auto code = static_cast<uint8_t>(from[i]);
      out[i] = results[code];
      any |= lossy[code];
    }
    for (int64_t i = 0; any && i < count; ++i) {
      Count<To>(values[static_cast<uint8_t>(from[i])], counts);
    }
  }
};

// Decodes a chunk run by run: straight into place, or by way of a buffer and
// past the caches.
template <class Decoder>
DecodeCounts DecodeChunk(const View& input, const View& output, int64_t begin,
                         int64_t end, bool stream, const Decoder& decode) {
  alignas(64) std::byte buffer[kRunElements * sizeof(float)];
  const RunDecoders& decoders = GetRunDecoders();
  const int64_t to_bytes = ElementBytes(output.dtype);
  DecodeCounts counts;
  for (int64_t i = begin; i < end; i += kRunElements) {
    const int64_t count = std::min(kRunElements, end - i);
    std::byte* to = output.data + i * to_bytes;
    decode(input.data + BlockBytes(input.dtype, i), stream ? buffer : to, count,
           counts);
    if (stream) decoders.stream(to, buffer, count * to_bytes);
  }
  if (stream) decoders.fence();
  return counts;
}

template <class Decoder>
void DecodeAll(const KernelArgs& args, const Decoder& decode) {
  const View& input = args.inputs[0];
  const View& output = args.outputs[0];
  const int64_t size = output.size();
  const bool stream = size * ElementBytes(output.dtype) >= kStreamBytes;
  std::mutex mutex;
  ParallelFor(size, kChunkElements, [&](int64_t begin, int64_t end) {
    const DecodeCounts counts =
        DecodeChunk(input, output, begin, end, stream, decode);
    if (args.counts == nullptr) return;
    const std::lock_guard lock(mutex);
    args.counts->overflowed += counts.overflowed;
    args.counts->flushed += counts.flushed;
    args.counts->nan += counts.nan;
  });
}

// By way of float, which all packed values are, if there is something to count.
void DecodeAllPacked(const KernelArgs& args) {
  const PackedReader reader = PackedReaderOf(args.inputs[0].dtype);
  const DType to_dtype = args.outputs[0].dtype;
  const RunDecoder convert = GetRunDecoders().find(DType::F32, to_dtype);
  DecodeAll(args, [&](const std::byte* from, std::byte* to, int64_t count,
                      DecodeCounts& counts) {
    const bool done =
        to_dtype == DType::F16 &&
        reader.DecodeHalves(from, count, reinterpret_cast<uint16_t*>(to));
    if (done) return;
    alignas(64) float values[kRunElements];
    reader.Decode(from, count, values);
    convert(reinterpret_cast<const std::byte*>(values), to, count, counts);
  });
}

template <class To>
void DecodeAllBytes(const KernelArgs& args) {
  const ByteDecoder<To> decoder(args.inputs[0].dtype);
  DecodeAll(args, [&](const std::byte* from, std::byte* to, int64_t count,
                      DecodeCounts& counts) {
    decoder.Run(from, to, count, counts);
  });
}

}  // namespace

void Decode(const KernelArgs& args) {
  const DType from = args.inputs[0].dtype;
  const DType to = args.outputs[0].dtype;
  TL_CHECK(to == DType::F16 || to == DType::F32);
  if (IsPacked(from)) {
    DecodeAllPacked(args);
  } else if (const RunDecoder decode = GetRunDecoders().find(from, to)) {
    DecodeAll(args, decode);
  } else if (to == DType::F16) {
    DecodeAllBytes<uint16_t>(args);
  } else {
    DecodeAllBytes<float>(args);
  }
}

}  // namespace tl::cpu
