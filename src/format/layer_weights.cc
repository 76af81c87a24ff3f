#include "format/layer_weights.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"
#include "format/number_source.h"

namespace tl {
namespace {

using coreml::spec::QuantizationParams;
using coreml::spec::WeightParams;
using FilePtr = std::shared_ptr<const MappedFile>;

enum class Form { kNone, kFloat32, kFloat16, kPacked, kInt8 };

struct Stored {
  Form form = Form::kNone;
  std::span<const std::byte> bytes;
  std::shared_ptr<std::byte> owner;  // of bytes that are not in place
};

Form FormOf(uint32_t field) {
  switch (field) {
    case WeightParams::kFloatValueFieldNumber:
      return Form::kFloat32;
    case WeightParams::kFloat16ValueFieldNumber:
      return Form::kFloat16;
    case WeightParams::kRawValueFieldNumber:
      return Form::kPacked;
    default:
      return Form::kInt8;
  }
}

// Numbers that a writer put into one field in several pieces, or one by one.
Stored Joined(const WeightParams& weights, const MappedFile& file) {
  const int64_t loose = weights.float_value_size() * int64_t{sizeof(float)};
  int64_t size = loose;
  for (const WeightParams::Cut& cut : weights.cut()) {
    size += static_cast<int64_t>(cut.size());
  }
  Stored stored{Form::kFloat32, {}, AllocateHost(size)};
  std::byte* at = stored.owner.get();
  for (const WeightParams::Cut& cut : weights.cut()) {
    std::memcpy(at, file.bytes().data() + cut.offset(), cut.size());
    at += cut.size();
  }
  if (loose > 0) std::memcpy(at, weights.float_value().data(), loose);
  stored.bytes = {stored.owner.get(), static_cast<size_t>(size)};
  return stored;
}

Stored Find(const WeightParams& weights, const MappedFile& file,
            const std::string& what) {
  if (weights.cut().empty() && weights.float_value().empty()) return {};
  const Form form =
      weights.cut().empty() ? Form::kFloat32 : FormOf(weights.cut(0).field());
  for (const WeightParams::Cut& cut : weights.cut()) {
    if (FormOf(cut.field()) != form ||
        (form != Form::kFloat32 && !weights.float_value().empty())) {
      Fail(ErrorKind::kInput, "{}: its numbers are there in two forms", what);
    }
  }
  if (weights.cut_size() == 1 && weights.float_value().empty()) {
    const WeightParams::Cut& cut = weights.cut(0);
    return {form, file.bytes().subspan(cut.offset(), cut.size()), nullptr};
  }
  if (form == Form::kFloat32) return Joined(weights, file);
  // Of bytes that are there several times the last count.
  const WeightParams::Cut& cut = *weights.cut().rbegin();
  return {form, file.bytes().subspan(cut.offset(), cut.size()), nullptr};
}

// q * scale + bias, or table[q].
class Quantized final : public NumberSource {
 public:
  Quantized(const Stored& stored, const QuantizationParams& params, int bits,
            BlockIndex channels)
      : bytes_(stored.bytes),
        is_signed_(stored.form == Form::kInt8),
        bits_(bits),
        channels_(std::move(channels)) {
    const auto& linear = params.linear_quantization();
    scale_.assign(linear.scale().begin(), linear.scale().end());
    bias_.assign(linear.bias().begin(), linear.bias().end());
    const auto& table = params.lookup_table_quantization().float_value();
    table_.assign(table.begin(), table.end());
  }

  void Read(int64_t begin, std::span<float> values) const override {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = At(begin + static_cast<int64_t>(i));
    }
  }

 private:
  float At(int64_t position) const {
    const uint32_t code = HighBitsAt(bytes_, position * bits_, bits_);
    if (!table_.empty()) return table_[code];
    const auto q = is_signed_ ? static_cast<double>(static_cast<int8_t>(code))
                              : static_cast<double>(code);
    const int64_t channel = channels_.At(position);
    const auto of = [channel](const std::vector<float>& numbers) {
      return numbers.size() == 1 ? numbers[0] : numbers[channel];
    };
    // Both steps exact enough to round once.
    return static_cast<float>(q * of(scale_) + (bias_.empty() ? 0 : of(bias_)));
  }

  std::span<const std::byte> bytes_;  // of the mapped file
  bool is_signed_;
  int bits_;
  BlockIndex channels_;
  std::vector<float> scale_, bias_, table_;
};

int BitsOf(const Stored& stored, const QuantizationParams& params,
           const std::string& what) {
  if (stored.form == Form::kInt8) return 8;
  const uint64_t bits = params.number_of_bits();
  if (bits < 1 || bits > 8) {
    Fail(ErrorKind::kInput,
         "{}: is quantised to {} bits, 1 to 8 can be decoded", what, bits);
  }
  return static_cast<int>(bits);
}

void CheckLinear(const QuantizationParams& params, int64_t channels,
                 const std::string& what) {
  const auto& linear = params.linear_quantization();
  const auto fits = [channels](int64_t count) {
    return count == 1 || count == channels;
  };
  if (!fits(linear.scale_size()) ||
      (linear.bias_size() != 0 && !fits(linear.bias_size()))) {
    Fail(ErrorKind::kInput,
         "{}: has {} scales and {} biases for {} channels; one, or one for "
         "each, can be used",
         what, linear.scale_size(), linear.bias_size(), channels);
  }
}

void Defer(const LayerWeights& weights, const Stored& stored,
           const FilePtr& file, const std::string& what, TensorEntry& entry) {
  const QuantizationParams& params = weights.numbers->quantization();
  const int bits = BitsOf(stored, params, what);
  const auto total_bits = CheckedMultiply(entry.elements, bits);
  const int64_t expected =
      total_bits ? *total_bits / 8 + (*total_bits % 8 != 0) : INT64_MAX;
  if (expected != static_cast<int64_t>(stored.bytes.size())) {
    Fail(ErrorKind::kInput, "{}: {} of {} bits need {} bytes, there are {}",
         what, ShapeText(entry.shape), bits, expected, stored.bytes.size());
  }
  const bool table = params.has_lookup_table_quantization();
  const int entries = params.lookup_table_quantization().float_value_size();
  if (table && entries != 1 << bits) {
    Fail(ErrorKind::kInput, "{}: its table has {} entries, {} bits need {}",
         what, entries, bits, 1 << bits);
  }
  std::vector<int64_t> blocks(entry.shape.size(), 1);
  const auto axis = static_cast<size_t>(weights.channel_axis);
  if (axis < blocks.size())
    blocks[axis] = std::max<int64_t>(entry.shape[axis], 1);
  if (!table)
    CheckLinear(params, axis < blocks.size() ? blocks[axis] : 1, what);
  auto source = std::make_shared<Quantized>(stored, params, bits,
                                            BlockIndex(entry.shape, blocks));
  entry.encoding = fmt::format("{}-bit {}", bits, table ? "table" : "linear");
  entry.deferred = std::make_shared<DeferredBytes>(
      [source, file, elements = entry.elements] {
        return Materialize(*source, DType::F32, elements);
      });
}

int64_t CountOf(const Stored& stored, const QuantizationParams& params) {
  const auto bytes = static_cast<int64_t>(stored.bytes.size());
  switch (stored.form) {
    case Form::kNone:
      return 0;
    case Form::kFloat32:
      return bytes / 4;
    case Form::kFloat16:
      return bytes / 2;
    case Form::kInt8:
      return bytes;
    case Form::kPacked:
      break;
  }
  const uint64_t bits = params.number_of_bits();
  return bits == 0 || bits > 8 ? 0 : bytes * 8 / static_cast<int64_t>(bits);
}

int64_t ElementsOf(const std::vector<int64_t>& shape, const std::string& what) {
  std::optional<int64_t> elements = 1;
  for (const int64_t size : shape) {
    if (elements)
      elements = size < 0 ? std::nullopt : CheckedMultiply(*elements, size);
  }
  if (!elements || *elements > INT64_MAX / 8) {
    Fail(ErrorKind::kInput, "{}: a tensor of shape {} is too large", what,
         ShapeText(shape));
  }
  return *elements;
}

}  // namespace

std::optional<TensorEntry> TensorOfWeights(const LayerWeights& weights,
                                           std::string name,
                                           const FilePtr& file) {
  const std::string what =
      fmt::format("{}: tensor {}", file->path(), QuoteName(name));
  const Stored stored = Find(*weights.numbers, *file, what);
  if (stored.form == Form::kNone || stored.bytes.empty()) return std::nullopt;
  TensorEntry entry;
  entry.name = std::move(name);
  entry.shape = weights.shape.value_or(
      std::vector<int64_t>{CountOf(stored, weights.numbers->quantization())});
  entry.elements = ElementsOf(entry.shape, what);
  const bool half = stored.form == Form::kFloat16;
  entry.dtype = half ? DType::F16 : DType::F32;
  entry.bytes = entry.elements * ElementBytes(*entry.dtype);
  if (stored.form == Form::kPacked || stored.form == Form::kInt8) {
    Defer(weights, stored, file, what, entry);
    return entry;
  }
  if (entry.bytes != static_cast<int64_t>(stored.bytes.size())) {
    Fail(ErrorKind::kInput, "{}: {} of {} needs {} bytes, there are {}", what,
         Info(*entry.dtype).name, ShapeText(entry.shape), entry.bytes,
         stored.bytes.size());
  }
  entry.data = stored.owner;
  if (entry.data == nullptr) {
    entry.data =
        std::shared_ptr<std::byte>(std::const_pointer_cast<MappedFile>(file),
                                   const_cast<std::byte*>(stored.bytes.data()));
    entry.file = file;
  }
  return entry;
}

}  // namespace tl
