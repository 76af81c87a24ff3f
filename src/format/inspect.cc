#include "format/inspect.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "format/companion.h"
#include "format/sha256.h"
#include "tensor/decode.h"

namespace tl {
namespace {

// Elements decoded at a time: 64 KB of doubles, which stay in the cache. A
// multiple of every block, so that a chunk begins at a whole byte.
constexpr int64_t kDecodeChunk = 8192;
// Elements whose statistics are one partial result.
constexpr int64_t kStatsChunk = 16 * kDecodeChunk;
constexpr int64_t kReadChunk = 1 << 20;
constexpr int64_t kHashChunk = 16 << 20;

// A sum that carries its rounding error along (Neumaier).
class ExactSum {
 public:
  void Add(double value) {
    const double sum = sum_ + value;
    error_ += std::abs(sum_) >= std::abs(value) ? (sum_ - sum) + value
                                                : (value - sum) + sum_;
    sum_ = sum;
  }
  void Add(const ExactSum& other) {
    Add(other.sum_);
    Add(other.error_);
  }
  double value() const { return sum_ + error_; }

 private:
  double sum_ = 0;
  double error_ = 0;
};

struct PartialStats {
  TensorStats counts;
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
  ExactSum sum;

  void Add(double value) {
    if (!std::isfinite(value)) {
      std::isnan(value) ? ++counts.nan : ++counts.infinite;
      return;
    }
    const double magnitude = std::abs(value);
    counts.overflow += magnitude >= kHalfOverflow;
    counts.flushed += magnitude <= kHalfFlush && magnitude > 0;
    min = std::min(min, value);
    max = std::max(max, value);
    sum.Add(value);
  }

  void Add(const PartialStats& other) {
    counts.nan += other.counts.nan;
    counts.infinite += other.counts.infinite;
    counts.overflow += other.counts.overflow;
    counts.flushed += other.counts.flushed;
    min = std::min(min, other.min);
    max = std::max(max, other.max);
    sum.Add(other.sum);
  }
};

// Of elements begin to end, both at the boundary of a block.
PartialStats StatsOf(const TensorEntry& entry, int64_t begin, int64_t end) {
  std::array<double, kDecodeChunk> buffer;
  PartialStats stats;
  for (int64_t at = begin; at < end; at += kDecodeChunk) {
    const int64_t stop = std::min(end, at + kDecodeChunk);
    const auto values = std::span(buffer).first(stop - at);
    Decode(*entry.dtype, entry.StoredElements(at, stop), values);
    for (double value : values) stats.Add(value);
  }
  return stats;
}

// Touches every byte, so that one that cannot be read is noticed.
void ReadAll(std::span<const std::byte> bytes) {
  ParallelFor(static_cast<int64_t>(bytes.size()), kReadChunk,
              [&](int64_t begin, int64_t end) {
                uint8_t all = 0;
                for (std::byte b : bytes.subspan(begin, end - begin)) {
                  all |= std::to_integer<uint8_t>(b);
                }
                // The result is of no interest, only that it was computed.
                asm volatile("" : : "r"(all));
              });
}

int64_t CountNotBool(std::span<const std::byte> bytes) {
  return std::count_if(bytes.begin(), bytes.end(),
                       [](std::byte b) { return b > std::byte{1}; });
}

// Packed weights, and all floating-point tensors of GGUF, are there to be
// computed with. Elsewhere a NaN or an infinity may be meant, as in a mask.
void CheckNumbers(const Model& model, const TensorEntry& entry,
                  CheckReport& report) {
  const bool packed = IsPacked(*entry.dtype);
  if (!packed && (model.format() != "GGUF" || !IsComputable(*entry.dtype))) {
    return;
  }
  const TensorStats stats = ComputeStats(entry).value();
  const auto add = [&](int64_t count, std::string_view what) {
    if (count == 0) return;
    report.findings.push_back(fmt::format("tensor {}: {} of {} values {}",
                                          QuoteName(entry.name), count,
                                          stats.elements, what));
  };
  add(stats.nan + stats.infinite, "are NaN or inf");
  if (packed) add(stats.overflow, "exceed float16");
}

void CheckContent(const Model& model, const TensorEntry& entry,
                  CheckReport& report) {
  if (entry.dtype) CheckNumbers(model, entry, report);
  if (entry.dtype == DType::BOOL) {
    if (const int64_t wrong = CountNotBool(entry.stored()); wrong > 0) {
      report.findings.push_back(
          fmt::format("tensor {}: {} of {} BOOL elements are neither 0 nor 1",
                      QuoteName(entry.name), wrong, entry.elements));
    }
  }
  if (entry.dtype && Info(*entry.dtype).kind == DTypeKind::kFloat) {
    const Companion companion = FindCompanion(model, entry);
    if (companion.reading == Reading::kRefused) {
      report.findings.push_back(
          fmt::format("tensor {} {}", QuoteName(entry.name), companion.text));
    }
  }
}

// Tensors of a type that is not known may claim any number of elements.
int64_t Sum(int64_t a, int64_t b) {
  return CheckedAdd(a, b).value_or(std::numeric_limits<int64_t>::max());
}

}  // namespace

ModelSummary Summarize(const Model& model) {
  ModelSummary summary;
  for (const auto& file : model.files()) summary.file_bytes += file->size();
  for (const TensorEntry& entry : model.tensors()) {
    summary.parameters = Sum(summary.parameters, entry.elements);
    auto total = std::find_if(
        summary.types.begin(), summary.types.end(),
        [&](const TypeTotal& t) { return t.type == entry.type_name(); });
    if (total == summary.types.end()) {
      total = summary.types.insert(total, {std::string(entry.type_name())});
    }
    ++total->tensors;
    total->elements = Sum(total->elements, entry.elements);
    total->bytes += entry.bytes;
  }
  std::stable_sort(
      summary.types.begin(), summary.types.end(),
      [](const TypeTotal& a, const TypeTotal& b) { return a.bytes > b.bytes; });
  return summary;
}

std::optional<TensorStats> ComputeStats(const TensorEntry& listed) {
  if (!listed.dtype || !CanDecode(*listed.dtype)) return std::nullopt;
  const TensorEntry entry = listed.Fetched();
  std::vector<PartialStats> parts((entry.elements + kStatsChunk - 1) /
                                  kStatsChunk);
  ParallelFor(entry.elements, kStatsChunk, [&](int64_t begin, int64_t end) {
    parts[begin / kStatsChunk] = StatsOf(entry, begin, end);
  });
  PartialStats all;
  for (const PartialStats& part : parts) all.Add(part);
  TensorStats stats = all.counts;
  stats.elements = entry.elements;
  const int64_t finite = stats.elements - stats.nan - stats.infinite;
  if (finite > 0) {
    stats.min = all.min;
    stats.max = all.max;
    stats.mean = all.sum.value() / static_cast<double>(finite);
  }
  return stats;
}

std::string Sha256OfFile(const MappedFile& file) {
  Progress progress("hashing " + file.path(), file.size());
  Sha256 sha;
  for (int64_t done = 0; done < file.size();) {
    const int64_t step = std::min(file.size() - done, kHashChunk);
    sha.Update(file.bytes().subspan(done, step));
    progress.Advance(step);
    done += step;
  }
  file.CheckIntact();
  return sha.Finish();
}

CheckReport CheckEveryByte(const Model& model) {
  CheckReport report;
  int64_t total = 0;
  for (const TensorEntry& entry : model.tensors()) total += entry.bytes;
  Progress progress("checking", total);
  for (const TensorEntry& listed : model.tensors()) {
    const TensorEntry entry = listed.Fetched();
    ReadAll(entry.stored());
    CheckContent(model, entry, report);
    report.bytes += entry.bytes;
    progress.Advance(entry.bytes);
  }
  model.CheckIntact();
  return report;
}

}  // namespace tl
