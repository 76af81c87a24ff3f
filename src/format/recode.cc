#include "format/recode.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "format/quantize.h"
#include "format/widen.h"

namespace tl {
namespace {

constexpr int64_t kCopyStep = 16 << 20;
// A chunk is the work of one thread: 16 KB of float32 stay in its first cache.
constexpr int64_t kStrip = 4096;
constexpr int64_t kChunkElements = 16 * kStrip;
constexpr int64_t kSlabChunks = 64;

void CopyStored(const OutputTensor& tensor, ReplaceFile& out,
                Progress& progress) {
  const TensorEntry& source = tensor.source;
  for (int64_t done = 0; done < source.bytes;) {
    const int64_t step = std::min(source.bytes - done, kCopyStep);
    if (source.file != nullptr) {
      out.Copy(*source.file, source.offset() + done, step);
    } else {
      out.Write(source.stored().subspan(done, step));
    }
    done += step;
    progress.Advance(step);
  }
}

// Rows that stand in another order in the same type, whole blocks each.
void PermuteStored(const OutputTensor& tensor, ReplaceFile& out,
                   Progress& progress) {
  const int64_t rows = tensor.shape[0];
  const int64_t row_bytes = rows == 0 ? 0 : tensor.bytes / rows;
  const auto stored = tensor.source.stored();
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t source = tensor.change.SourceRow(row, rows);
    out.Write(stored.subspan(source * row_bytes, row_bytes));
    progress.Advance(row_bytes);
  }
}

// Whether a row begins with a block, so that rows can be moved as they are.
bool RowsAreWhole(const OutputTensor& tensor) {
  const int64_t row = tensor.shape.size() < 2 ? 1 : tensor.shape.back();
  return row % Info(*tensor.dtype).block_elements == 0;
}

class Recoder {
 public:
  explicit Recoder(const OutputTensor& tensor)
      : tensor_(tensor),
        from_(*tensor.source.dtype),
        to_(*tensor.dtype),
        limit_(MaxMagnitude(to_)),
        scaled_by_half_(IsPacked(to_) && to_ != DType::MXFP4 &&
                        to_ != DType::NVFP4) {
    if (tensor.change.transposed) ReadWhole();
  }

  int64_t vanished() const { return vanished_; }

  // Elements [begin, begin + count) of the result; whole blocks.
  void Run(int64_t begin, int64_t count, std::byte* out) const {
    alignas(64) float values[kStrip];
    const DTypeInfo& info = Info(to_);
    for (int64_t done = 0; done < count; done += kStrip) {
      const std::span<float> strip(values, std::min(kStrip, count - done));
      Read(begin + done, strip);
      const int64_t bytes = static_cast<int64_t>(strip.size()) /
                            info.block_elements * info.block_bytes;
      Store(strip, {out, static_cast<size_t>(bytes)});
      out += bytes;
    }
  }

 private:
  void Read(int64_t begin, std::span<float> values) const {
    if (tensor_.change.transposed) {
      ReadColumns(begin, values);
    } else if (tensor_.change.heads == 0) {
      ReadStored(begin, values);
    } else {
      ReadRows(begin, values);
    }
    if (tensor_.change.add == 0) return;
    for (float& value : values) value += tensor_.change.add;
  }

  void ReadWhole() {
    whole_.resize(tensor_.elements);
    const int64_t strips = (tensor_.elements + kStrip - 1) / kStrip;
    ParallelFor(strips, 1, [&](int64_t first, int64_t last) {
      const int64_t begin = first * kStrip;
      const int64_t end = std::min(last * kStrip, tensor_.elements);
      ReadStored(begin, std::span(whole_).subspan(begin, end - begin));
    });
  }

  // Rows of the result are columns of the source.
  void ReadColumns(int64_t begin, std::span<float> values) const {
    const int64_t rows = tensor_.shape[0], columns = tensor_.shape[1];
    for (size_t i = 0; i < values.size(); ++i) {
      const int64_t at = begin + static_cast<int64_t>(i);
      values[i] = whole_[at % columns * rows + at / columns];
    }
  }

  // From a run of rows that stand in another order. A strip may begin and end
  // within a row.
  void ReadRows(int64_t begin, std::span<float> values) const {
    const std::vector<int64_t>& shape = tensor_.shape;
    const int64_t columns = shape.size() < 2 ? 1 : tensor_.elements / shape[0];
    const auto count = static_cast<int64_t>(values.size());
    for (int64_t done = 0; done < count;) {
      const int64_t row = (begin + done) / columns;
      const int64_t column = (begin + done) % columns;
      const int64_t step = std::min(columns - column, count - done);
      const int64_t source = tensor_.change.SourceRow(row, shape[0]);
      ReadStored(source * columns + column, values.subspan(done, step));
      done += step;
    }
  }

  // Elements of the source, which may begin within a block.
  void ReadStored(int64_t begin, std::span<float> values) const {
    const DTypeInfo& info = Info(from_);
    const int64_t block = info.block_elements;
    const int64_t before = begin % block;
    const auto count = static_cast<int64_t>(values.size());
    const int64_t blocks = (before + count + block - 1) / block;
    const auto bytes = tensor_.source.stored().subspan(
        begin / block * info.block_bytes, blocks * info.block_bytes);
    if (before == 0 && blocks * block == count) {
      return Widen(from_, bytes, values);
    }
    std::vector<float> whole(blocks * block);
    Widen(from_, bytes, whole);
    std::copy_n(whole.begin() + before, count, values.begin());
  }

  void Store(std::span<const float> values, std::span<std::byte> out) const {
    const uint32_t largest = LargestMagnitudeBits(values);
    if (largest <= std::bit_cast<uint32_t>(limit_)) [[likely]] {
      Quantize(to_, values, out);
      return CountVanished(values, largest, out);
    }
    if (IsPacked(to_) || TooLarge(values)) FailValues();
    StoreOneByOne(values, out);
  }

  // Of blocks only where all values are so small that no scale may be left;
  // that single values of a block become zero is what rounding does.
  void CountVanished(std::span<const float> values, uint32_t largest,
                     std::span<const std::byte> out) const {
    int64_t count = 0;
    if (to_ == DType::F16) {
      for (float value : values) {
        const float magnitude = std::abs(value);
        count += magnitude > 0 && magnitude <= 0x1p-25f;
      }
    } else if (scaled_by_half_ && largest > 0 &&
               std::bit_cast<float>(largest) < limit_ / kHalfMax * 0x1p-24f) {
      std::vector<float> held(values.size());
      Widen(to_, out, held);
      const bool zero =
          std::ranges::all_of(held, [](float x) { return x == 0; });
      if (zero)
        count = std::ranges::count_if(values, [](float x) { return x != 0; });
    }
    if (count > 0) vanished_ += count;
  }

  bool TooLarge(std::span<const float> values) const {
    return std::any_of(values.begin(), values.end(), [this](float value) {
      return std::isfinite(value) && std::abs(value) > limit_;
    });
  }

  // Floating types have inf and NaN, too.
  void StoreOneByOne(std::span<const float> values,
                     std::span<std::byte> out) const {
    if (to_ == DType::F32) return Quantize(to_, values, out);
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t bits = to_ == DType::F16 ? FloatToHalf(values[i])
                                              : FloatToBFloat16(values[i]);
      std::memcpy(out.data() + 2 * i, &bits, sizeof(bits));
    }
  }

  [[noreturn]] void FailValues() const {
    int64_t not_finite = 0, too_large = 0;
    float values[kStrip];
    for (int64_t begin = 0; begin < tensor_.elements; begin += kStrip) {
      const std::span<float> strip(values,
                                   std::min(kStrip, tensor_.elements - begin));
      Read(begin, strip);
      for (float value : strip) {
        if (!std::isfinite(value)) {
          ++not_finite;
        } else if (std::abs(value) > limit_) {
          ++too_large;
        }
      }
    }
    if (IsPacked(to_) && not_finite > 0) {
      Fail(ErrorKind::kInput,
           "tensor {}: {} of {} values are NaN or inf, which {} cannot hold",
           QuoteName(tensor_.source.name), not_finite, tensor_.elements,
           Info(to_).name);
    }
    Fail(ErrorKind::kInput,
         "tensor {}: {} of {} values are beyond {}, the most that {} holds; "
         "use the type 'f32' or 'bf16'",
         QuoteName(tensor_.source.name), too_large, tensor_.elements, limit_,
         Info(to_).name);
  }

  const OutputTensor& tensor_;
  const DType from_;
  const DType to_;
  const float limit_;
  const bool scaled_by_half_;
  std::vector<float> whole_;  // of a tensor that is transposed
  mutable std::atomic<int64_t> vanished_ = 0;
};

struct Slab {
  std::vector<std::byte> bytes;
  int64_t filled = 0;
};

// One slab is made while the one before is written: the writing is one more
// chunk of the parallel work.
int64_t RecodeSlabs(const OutputTensor& tensor, ReplaceFile& out,
                    Progress& progress) {
  const Recoder recoder(tensor);
  const DTypeInfo& info = Info(*tensor.dtype);
  const int64_t chunk_bytes =
      kChunkElements / info.block_elements * info.block_bytes;
  const int64_t slab_elements = kChunkElements * kSlabChunks;
  Slab making, made;
  const auto write_made = [&] {
    out.Write(std::span(made.bytes).first(made.filled));
    progress.Advance(made.filled);
  };
  for (int64_t begin = 0; begin < tensor.elements; begin += slab_elements) {
    const int64_t count = std::min(slab_elements, tensor.elements - begin);
    const int64_t chunks = (count + kChunkElements - 1) / kChunkElements;
    making.filled = count / info.block_elements * info.block_bytes;
    if (making.bytes.empty()) making.bytes.resize(making.filled);
    ParallelFor(chunks + 1, 1, [&](int64_t index, int64_t) {
      if (index == 0) return write_made();
      const int64_t at = (index - 1) * kChunkElements;
      recoder.Run(begin + at, std::min(kChunkElements, count - at),
                  making.bytes.data() + (index - 1) * chunk_bytes);
    });
    std::swap(making, made);
  }
  write_made();
  return recoder.vanished();
}

}  // namespace

void FailTooLarge() {
  Fail(ErrorKind::kInput, "the tensors need more than 2^63 bytes");
}

int64_t TotalBytes(const std::vector<OutputTensor>& tensors) {
  std::optional<int64_t> total = 0;
  for (const OutputTensor& tensor : tensors) {
    if (total) total = CheckedAdd(*total, tensor.bytes);
  }
  if (!total) FailTooLarge();
  return *total;
}

int64_t WriteTensor(const OutputTensor& tensor, ReplaceFile& out,
                    Progress& progress) {
  int64_t vanished = 0;
  if (!tensor.parts.empty()) {
    for (const OutputTensor& part : tensor.parts) {
      vanished += WriteTensor(part, out, progress);
    }
    return vanished;
  }
  if (tensor.source.deferred) {
    // Computed for this alone, so that a model larger than memory streams.
    OutputTensor fetched = tensor;
    fetched.source = tensor.source.Fetched();
    return WriteTensor(fetched, out, progress);
  }
  if (tensor.verbatim()) {
    CopyStored(tensor, out, progress);
    return 0;
  }
  const bool moved = tensor.dtype == tensor.source.dtype &&
                     tensor.change.add == 0 && !tensor.change.transposed;
  if (moved && RowsAreWhole(tensor)) {
    PermuteStored(tensor, out, progress);
  } else {
    vanished = RecodeSlabs(tensor, out, progress);
  }
  const TensorEntry& source = tensor.source;
  if (source.file) source.file->LetGo(source.offset(), source.bytes);
  return vanished;
}

}  // namespace tl
