// What the constexpr_… operations compute, with q the stored integers:
//   affine_dequantize      scale * (q - zero_point), along one axis
//   blockwise_shift_scale  scale * (data - offset), by blocks along every axis
//   lut_to_dense           table[q]; from CoreML8 on a table for each block, and
//                          entries that are short vectors along one axis
//   sparse_to_dense        the next stored number where the mask has a bit, else 0
//   cast                   float16 as float32
//   lut_to_sparse, sparse_blockwise_shift_scale
//                          the same of the numbers of a sparse tensor; computed
//                          here as dense ones that are masked at the end
// https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"
#include "format/mil_constant.h"
#include "format/mil_sources.h"
#include "format/model.h"

namespace tl {
namespace {

using namespace coreml::spec;

// Operations whose operands are results of others. Real chains have 2 or 3.
constexpr int kMaxChain = 8;
// Numbers of a scale or table, which are read when the model is opened. Real
// ones have some thousands.
constexpr int64_t kMaxOperand = 1 << 24;

class Builder {
 public:
  Builder(const MilProducers& producers, BlobFiles& blobs,
          const std::string& what)
      : producers_(producers), blobs_(blobs), what_(what) {}

  MilComputed Result(const Operation& operation) {
    MilComputed made = Build(operation, 1);
    TableType(made.type.type);
    return made;
  }

 private:
  // Also of the operations with a sparse result, then as a dense one.
  MilComputed Build(const Operation& operation, int depth) {
    if (depth > kMaxChain) {
      Fail(ErrorKind::kInput,
           "{}: is computed by a chain of more than {} operations", what_,
           kMaxChain);
    }
    depth_ = depth;
    const std::string_view type =
        std::string_view(operation.type())
            .substr(operation.type().find("constexpr_"));
    if (type == "constexpr_affine_dequantize") return Affine(operation);
    if (type == "constexpr_blockwise_shift_scale") {
      return Blockwise(operation, Dense(operation, "data"));
    }
    if (type == "constexpr_cast") return Cast(operation);
    if (type == "constexpr_lut_to_dense") {
      if (FindValue(operation, "shape") != nullptr) return OldTable(operation);
      return Table(operation, Dense(operation, "indices"));
    }
    if (type == "constexpr_sparse_to_dense") {
      if (FindValue(operation, "shape") != nullptr) return OldSparse(operation);
      MilComputed dense = SparseData(operation, "mask", "nonzero_data");
      mask_ = {};
      return dense;
    }
    if (type == "constexpr_lut_to_sparse") {
      return Table(operation, SparseData(operation, "indices_mask",
                                         "indices_nonzero_data"));
    }
    if (type == "constexpr_sparse_blockwise_shift_scale") {
      return Blockwise(operation,
                       SparseData(operation, "data_mask", "nonzero_data"));
    }
    Fail(ErrorKind::kInput, "{}: is computed by {}, which is not known", what_,
         QuoteName(operation.type()));
  }

  // The operation that makes the operand, or null where it is a value itself.
  const Operation* Producer(const Operation& operation,
                            const std::string& name) {
    const auto input = operation.inputs().find(name);
    if (input == operation.inputs().end() ||
        input->second.arguments_size() != 1 ||
        input->second.arguments(0).has_value()) {
      return nullptr;
    }
    const std::string& source = input->second.arguments(0).name();
    const auto producer = producers_.find(source);
    if (producer == producers_.end()) {
      Fail(ErrorKind::kInput,
           "{}: its operand '{}' is {}, which no operation "
           "makes",
           what_, name, QuoteName(source));
    }
    return producer->second;
  }

  std::optional<MilNumbers> FindNumbers(const Operation& operation,
                                        const std::string& name) {
    const Value* value = FindValue(operation, name);
    if (value == nullptr) {
      const Operation* producer = Producer(operation, name);
      if (producer == nullptr || IsConstexpr(*producer)) return std::nullopt;
      value = FindValue(*producer, "val");
    }
    if (value == nullptr) return std::nullopt;
    return NumbersOf(*value, blobs_, what_);
  }

  MilNumbers Numbers(const Operation& operation, const std::string& name) {
    auto numbers = FindNumbers(operation, name);
    if (!numbers) FailMissing(name);
    return std::move(*numbers);
  }

  // An operand that may be the result of another such operation.
  MilComputed Dense(const Operation& operation, const std::string& name) {
    const Operation* producer = FindValue(operation, name) == nullptr
                                    ? Producer(operation, name)
                                    : nullptr;
    if (producer != nullptr && IsConstexpr(*producer)) {
      const int depth = depth_;
      MilComputed computed = Build(*producer, depth + 1);
      depth_ = depth;
      return computed;
    }
    MilNumbers numbers = Numbers(operation, name);
    MilComputed computed;
    computed.type = numbers.type;
    computed.numbers = StoredNumbers(std::move(numbers));
    return computed;
  }

  std::vector<float> Values(const Operation& operation,
                            const std::string& name) {
    const VectorMask kept = mask_;
    const MilComputed operand = Dense(operation, name);
    mask_ = kept;
    if (operand.type.elements > kMaxOperand) {
      Fail(ErrorKind::kInput, "{}: its operand '{}' has {} numbers, at most {}",
           what_, name, operand.type.elements, kMaxOperand);
    }
    if (operand.check) operand.check();
    std::vector<float> values(operand.type.elements);
    operand.numbers->Read(0, values);
    return values;
  }

  bool Has(const Operation& operation, const std::string& name) const {
    return operation.attributes().contains(name) ||
           operation.inputs().contains(name);
  }

  int64_t Scalar(const Operation& operation, const std::string& name) {
    const std::vector<float> values = Values(operation, name);
    const auto number =
        values.size() == 1 ? CheckedTruncate(values[0]) : std::nullopt;
    if (!number) {
      Fail(ErrorKind::kInput, "{}: its operand '{}' is not one whole number",
           what_, name);
    }
    return *number;
  }

  [[noreturn]] void FailMissing(const std::string& name) {
    Fail(ErrorKind::kInput, "{}: its operand '{}' is missing or no constant",
         what_, name);
  }

  int64_t AxisOf(int64_t axis, size_t rank) {
    const auto limit = static_cast<int64_t>(rank);
    if (axis < -limit || axis >= limit) {
      Fail(ErrorKind::kInput, "{}: axis {} of {} dimensions", what_, axis,
           rank);
    }
    return axis < 0 ? axis + limit : axis;
  }

  // Of a vector along an axis, or a scalar, as counts along every axis.
  std::vector<int64_t> BlocksAlong(const MilTensorType& type, int64_t axis,
                                   int64_t count, std::string_view name) {
    std::vector<int64_t> blocks(type.shape.size(), 1);
    if (count != 1 && count != type.shape[axis]) {
      Fail(ErrorKind::kInput, "{}: {} has {} numbers for axis {} of {}", what_,
           name, count, axis, ShapeText(type.shape));
    }
    blocks[axis] = std::max<int64_t>(count, 1);
    return blocks;
  }

  MilComputed Affine(const Operation& operation) {
    MilComputed data = Dense(operation, "quantized_data");
    const DataType result = Dense(operation, "scale").type.type;
    std::vector<float> scale = Values(operation, "scale");
    std::vector<float> zero = Values(operation, "zero_point");
    const int64_t axis =
        AxisOf(Scalar(operation, "axis"), data.type.shape.size());
    const auto count =
        static_cast<int64_t>(std::max(scale.size(), zero.size()));
    const auto blocks = BlocksAlong(data.type, axis, count, "its scale");
    for (std::vector<float>* one : {&scale, &zero}) {
      if (one->size() == 1) one->assign(count, (*one)[0]);
      if (static_cast<int64_t>(one->size()) != count) {
        Fail(ErrorKind::kInput, "{}: {} scales and {} zero points", what_,
             scale.size(), zero.size());
      }
    }
    return Scale(std::move(data), result, std::move(scale), std::move(zero),
                 blocks);
  }

  MilComputed Scale(MilComputed data, DataType result, std::vector<float> scale,
                    std::vector<float> offset,
                    const std::vector<int64_t>& blocks) {
    if (result != FLOAT16 && result != FLOAT32) {
      Fail(ErrorKind::kInput, "{}: its scale is {}, not fp16 or fp32", what_,
           Info(result).name);
    }
    if (data.encoding.empty()) {
      data.encoding = fmt::format("{} scaled", Info(data.type.type).name);
    } else {
      data.encoding += ", scaled";
    }
    data.numbers =
        ScaledNumbers(data.numbers, std::move(scale), std::move(offset),
                      BlockIndex(data.type.shape, blocks));
    MaskAgain(data);
    data.type = MakeTensorType(result, data.type.shape, what_);
    return data;
  }

  // What a sparse tensor does not hold stays zero.
  void MaskAgain(MilComputed& computed) const {
    if (mask_.bits == nullptr) return;
    computed.numbers = MaskedNumbers(computed.numbers, mask_);
  }

  void CheckBlocks(const std::vector<int64_t>& shape,
                   std::span<const int64_t> blocks, std::string_view name) {
    bool fits = shape.size() == blocks.size();
    for (size_t i = 0; fits && i < shape.size(); ++i) {
      fits = blocks[i] > 0 && shape[i] % blocks[i] == 0;
    }
    if (!fits) {
      Fail(ErrorKind::kInput, "{}: {} of shape {} does not divide {}", what_,
           name, ShapeText({blocks.begin(), blocks.end()}), ShapeText(shape));
    }
  }

  MilComputed Blockwise(const Operation& operation, MilComputed data) {
    const MilTensorType scale = Dense(operation, "scale").type;
    CheckBlocks(data.type.shape, scale.shape, "its scale");
    std::vector<float> offset;
    if (Has(operation, "offset")) offset = Values(operation, "offset");
    if (!offset.empty() &&
        static_cast<int64_t>(offset.size()) != scale.elements) {
      Fail(ErrorKind::kInput, "{}: {} scales and {} offsets", what_,
           scale.elements, offset.size());
    }
    return Scale(std::move(data), scale.type, Values(operation, "scale"),
                 std::move(offset), scale.shape);
  }

  MilComputed Cast(const Operation& operation) {
    MilComputed source = Dense(operation, "source_val");
    const Value* name = FindValue(operation, "output_dtype");
    if (name == nullptr) {
      const Operation* producer = Producer(operation, "output_dtype");
      if (producer != nullptr) name = FindValue(*producer, "val");
    }
    const auto* texts =
        name ? &name->immediate_value().tensor().strings().values() : nullptr;
    const auto type = texts != nullptr && texts->size() == 1
                          ? FindMilType(texts->at(0))
                          : std::nullopt;
    if (type != FLOAT32 && type != FLOAT16) FailMissing("output_dtype");
    source.encoding = Info(source.type.type).name;
    source.type = MakeTensorType(*type, source.type.shape, what_);
    return source;
  }

  std::vector<int64_t> OldShape(const Operation& operation) {
    std::vector<int64_t> shape;
    const MilNumbers numbers = Numbers(operation, "shape");
    if (numbers.type.type != UINT32 && numbers.type.type != INT32) {
      FailMissing("shape");
    }
    for (int64_t i = 0; i < numbers.type.elements; ++i) {
      uint32_t size;
      std::memcpy(&size, numbers.bytes.data() + i * 4, sizeof(size));
      shape.push_back(size);
    }
    return shape;
  }

  // The bytes of codes of so many bits for each element.
  MilNumbers Codes(const Operation& operation, const std::string& name,
                   const MilTensorType& result, int bits) {
    MilNumbers codes = Numbers(operation, name);
    const auto total = CheckedMultiply(result.elements, bits);
    const int64_t needed = total ? *total / 8 + (*total % 8 != 0) : INT64_MAX;
    if (codes.type.type != UINT8 || codes.type.bytes != needed) {
      Fail(ErrorKind::kInput,
           "{}: '{}' is {}; {} of {} bits need {} bytes of uint8", what_, name,
           ToText(codes.type), ShapeText(result.shape), bits, needed);
    }
    return codes;
  }

  // The type of indices into a table of so many entries.
  DataType CodeType(int64_t entries) {
    switch (entries) {
      case 2:
        return UINT1;
      case 4:
        return UINT2;
      case 8:
        return UINT3;
      case 16:
        return UINT4;
      case 64:
        return UINT6;
      case 256:
        return UINT8;
    }
    Fail(ErrorKind::kInput,
         "{}: a table of {} entries; 2, 4, 8, 16, 64 and 256 are possible",
         what_, entries);
  }

  DataType TableType(DataType type) {
    if (type != FLOAT16 && type != FLOAT32 && type != INT8 && type != UINT8) {
      Fail(ErrorKind::kInput, "{}: its numbers are {}, which cannot be decoded",
           what_, Info(type).name);
    }
    return type;
  }

  MilComputed OldTable(const Operation& operation) {
    const MilTensorType table = Dense(operation, "lut").type;
    MilComputed made;
    made.type =
        MakeTensorType(TableType(table.type), OldShape(operation), what_);
    const DataType code = CodeType(table.elements);
    const int bits = Info(code).bits;
    MilNumbers codes = Codes(operation, "indices", made.type, bits);
    codes.type.type = code;
    made.encoding = fmt::format("{}-bit table", bits);
    made.numbers =
        TableNumbers(StoredNumbers(std::move(codes)), Values(operation, "lut"),
                     {.entries = table.elements});
    return made;
  }

  MilComputed Table(const Operation& operation, MilComputed indices) {
    const MilTensorType table = Dense(operation, "lut").type;
    const size_t rank = indices.type.shape.size();
    if (table.shape.size() != rank + 2) {
      Fail(ErrorKind::kInput, "{}: a table of shape {} for indices of shape {}",
           what_, ShapeText(table.shape), ShapeText(indices.type.shape));
    }
    const auto blocks = std::span(table.shape).first(rank);
    CheckBlocks(indices.type.shape, blocks, "its table");
    TableLayout layout{.entries = table.shape[rank],
                       .vector = table.shape[rank + 1]};
    const DataType code = CodeType(layout.entries);
    if (indices.type.type != code) {
      Fail(ErrorKind::kInput, "{}: indices of {} into a table of {} entries",
           what_, Info(indices.type.type).name, layout.entries);
    }
    layout.blocks =
        BlockIndex(indices.type.shape, {blocks.begin(), blocks.end()});
    std::vector<int64_t> shape = indices.type.shape;
    if (layout.vector != 1) {
      const int64_t axis = AxisOf(Scalar(operation, "vector_axis"), rank);
      const auto size = CheckedMultiply(shape[axis], layout.vector);
      shape[axis] = size.value_or(-1);
      for (size_t i = axis + 1; i < rank; ++i) layout.inside *= shape[i];
    }
    MilComputed made;
    made.type = MakeTensorType(TableType(table.type), std::move(shape), what_);
    made.encoding = fmt::format("{}-bit table", Info(code).bits);
    if (!indices.encoding.empty()) made.encoding += ", " + indices.encoding;
    made.check = std::move(indices.check);
    mask_.vector = layout.vector;
    mask_.inside = std::max<int64_t>(layout.inside, 1);
    made.numbers = TableNumbers(indices.numbers, Values(operation, "lut"),
                                std::move(layout));
    MaskAgain(made);
    return made;
  }

  MilComputed Sparse(const MilTensorType& type, std::span<const std::byte> mask,
                     MilNumbers numbers) {
    MilComputed made;
    made.type = type;
    made.encoding = "sparse";
    const int64_t count = numbers.type.elements;
    const auto sparse = std::make_shared<SparseNumbers>(
        mask, type.elements, StoredNumbers(std::move(numbers)), count);
    made.check = [sparse, what = what_] { sparse->Prepare(what); };
    made.numbers = sparse;
    mask_ = {sparse};
    return made;
  }

  MilComputed OldSparse(const Operation& operation) {
    MilNumbers numbers = Numbers(operation, "nonzero_data");
    const MilTensorType type = MakeTensorType(TableType(numbers.type.type),
                                              OldShape(operation), what_);
    const auto mask = Codes(operation, "mask", type, 1).bytes;
    return Sparse(type, mask, std::move(numbers));
  }

  // The numbers of a sparse tensor as a dense one: stored, or the result of
  // another of these operations, which brings its own mask.
  MilComputed SparseData(const Operation& operation,
                         const std::string& mask_name,
                         const std::string& numbers_name) {
    const Operation* producer = FindValue(operation, numbers_name) == nullptr
                                    ? Producer(operation, numbers_name)
                                    : nullptr;
    if (producer != nullptr && IsConstexpr(*producer)) {
      return Dense(operation, numbers_name);
    }
    MilNumbers numbers = Numbers(operation, numbers_name);
    const MilNumbers mask = Numbers(operation, mask_name);
    if (mask.type.type != UINT1) {
      Fail(ErrorKind::kInput, "{}: its mask is {}, not uint1", what_,
           ToText(mask.type));
    }
    const MilTensorType type =
        MakeTensorType(numbers.type.type, mask.type.shape, what_);
    return Sparse(type, mask.bytes, std::move(numbers));
  }

  const MilProducers& producers_;
  BlobFiles& blobs_;
  const std::string& what_;
  VectorMask mask_;  // of the sparse tensor that was met, if any
  int depth_ = 0;
};

}  // namespace

std::optional<MilComputed> ComputedOf(const Operation& operation,
                                      const MilProducers& producers,
                                      BlobFiles& blobs,
                                      const std::string& what) {
  if (operation.type().ends_with("constexpr_lut_to_sparse") ||
      operation.type().ends_with("constexpr_sparse_blockwise_shift_scale")) {
    return std::nullopt;
  }
  return Builder(producers, blobs, what).Result(operation);
}

}  // namespace tl
