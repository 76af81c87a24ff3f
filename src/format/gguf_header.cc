#include "format/gguf_header.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "format/model.h"

namespace tl {
namespace {

// What one text or array may have: ggml's limits, far above real files.
constexpr uint64_t kMaxText = uint64_t{1} << 30;  // bytes
constexpr uint64_t kMaxItems = uint64_t{1} << 30;

// Positions of tensors and keys are counted in 32 bits; real files have less
// than 100,000 of either.
constexpr uint64_t kMaxRecords = 1 << 28;

// Up to a multiple of `alignment`, a power of two; nothing where that is 2^63.
std::optional<int64_t> Padded(int64_t size, int64_t alignment) {
  const auto sum = CheckedAdd(size, alignment - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(alignment - 1);
}

class GgufReader {
 public:
  explicit GgufReader(const std::shared_ptr<const MappedFile>& file)
      : file_(file), reader_(file->bytes(), file->path()) {}

  GgufHeader Read() {
    reader_.ReadText(kGgufMagic.size(), "'GGUF'");
    ReadVersion();
    const int64_t tensors = ReadCount(
        "tensors", 2 * sizeof(uint32_t) + LengthBytes() + sizeof(uint64_t));
    const int64_t keys =
        ReadCount("keys of metadata", LengthBytes() + 1 + sizeof(uint32_t) + 1);
    for (int64_t i = 0; i < keys; ++i) ReadMetadata();
    ReadAlignment();
    for (int64_t i = 0; i < tensors; ++i) ReadTensor();
    PlaceTensors();
    return std::move(header_);
  }

 private:
  template <class... Args>
  [[noreturn]] void FailFile(fmt::format_string<Args...> text, Args&&... args) {
    Fail(ErrorKind::kInput, "{}: {}", file_->path(),
         fmt::format(text, std::forward<Args>(args)...));
  }

  void ReadVersion() {
    const auto version = reader_.Read<uint32_t>("version");
    // No version will ever be that high: these are the bytes of a small one in
    // the other order.
    if (version != 0 && (version & 0xffff) == 0) {
      FailFile(
          "is a big-endian GGUF file (version {}); only little-endian "
          "ones can be read",
          __builtin_bswap32(version));
    }
    if (version == 0 || version > kGgufNewestVersion) {
      FailFile("has GGUF version {}; versions 1 to {} can be read", version,
               kGgufNewestVersion);
    }
    header_.version = version;
  }

  // Lengths, counts and dimensions are narrow in version 1.
  int64_t LengthBytes() const {
    return header_.version == 1 ? sizeof(uint32_t) : sizeof(uint64_t);
  }
  uint64_t ReadLength(std::string_view what) {
    return header_.version == 1 ? reader_.Read<uint32_t>(what)
                                : reader_.Read<uint64_t>(what);
  }

  // So many records of at least `smallest` bytes must follow.
  int64_t ReadCount(std::string_view what, int64_t smallest) {
    const uint64_t count = ReadLength(fmt::format("number of {}", what));
    const auto room = static_cast<uint64_t>(reader_.remaining() / smallest);
    if (count > std::min(room, kMaxRecords)) {
      FailFile("is to have {} {}, but the {} bytes that follow hold at most {}",
               count, what, reader_.remaining(), std::min(room, kMaxRecords));
    }
    return static_cast<int64_t>(count);
  }

  std::string_view ReadText(std::string_view what) {
    const uint64_t length = ReadLength(what);
    if (length > kMaxText) {
      FailFile("byte {}: {} has {} bytes, at most {} are read",
               reader_.offset(), what, length, kMaxText);
    }
    return reader_.ReadText(static_cast<int64_t>(length), what);
  }

  MetadataKind ReadKind(std::string_view key) {
    const auto number = reader_.Read<uint32_t>("kind of a value");
    const std::optional<MetadataKind> kind = FindMetadataKind(number);
    if (!kind) {
      FailFile("metadata {} has a value of the unknown kind {}", QuoteName(key),
               number);
    }
    return *kind;
  }

  void ReadMetadata() {
    const int64_t at = reader_.offset();
    const std::string_view key = ReadText("key of metadata");
    if (key.empty()) FailFile("byte {}: a key of metadata is empty", at);
    const MetadataKind kind = ReadKind(key);
    if (!header_.metadata.Add(key, ReadValue(key, kind))) {
      FailFile("metadata {} is there twice", QuoteName(key));
    }
  }

  MetadataValue ReadValue(std::string_view key, MetadataKind kind) {
    if (kind == MetadataKind::Array) return ReadArray(key);
    if (kind == MetadataKind::String) {
      return MetadataValue::StringIn(file_, ReadText("text of metadata"));
    }
    return MetadataValue::OfBytes(
        kind, reader_.Take(Info(kind).bytes, "value of metadata"));
  }

  MetadataValue ReadArray(std::string_view key) {
    const MetadataKind kind = ReadKind(key);
    if (kind == MetadataKind::Array) {
      FailFile("metadata {} is an array of arrays, which is not supported",
               QuoteName(key));
    }
    const uint64_t count = ReadLength("length of an array");
    if (count > kMaxItems) {
      FailFile("metadata {} is an array of {} items, at most {} are read",
               QuoteName(key), count, kMaxItems);
    }
    const auto items = static_cast<int64_t>(count);
    if (kind == MetadataKind::String) return ReadTexts(items);
    // Below 2^33: no overflow.
    return MetadataValue::ArrayIn(
        file_, kind, items,
        reader_.Take(items * Info(kind).bytes, "array of metadata"));
  }

  // Their lengths are looked at, to find the end, and nothing is copied.
  MetadataValue ReadTexts(int64_t count) {
    if (header_.version == 1) return CopyTexts(count);
    const int64_t begin = reader_.offset();
    for (int64_t i = 0; i < count; ++i) ReadText("text of an array");
    return MetadataValue::ArrayIn(
        file_, MetadataKind::String, count,
        file_->bytes().subspan(begin, reader_.offset() - begin));
  }

  // With the lengths of later versions.
  MetadataValue CopyTexts(int64_t count) {
    std::vector<std::string> texts;
    for (int64_t i = 0; i < count; ++i) {
      texts.emplace_back(ReadText("text of an array"));
    }
    return MetadataValue::Strings(texts);
  }

  void ReadAlignment() {
    const MetadataValue* value = header_.metadata.Find(kGgufAlignmentKey);
    if (value == nullptr) return;
    if (value->kind() != MetadataKind::U32) {
      FailFile("metadata {} is of kind {}, must be u32",
               QuoteName(kGgufAlignmentKey), Info(value->kind()).name);
    }
    header_.alignment = *value->Int();
    if (!std::has_single_bit(static_cast<uint64_t>(header_.alignment))) {
      FailFile("metadata {} is {}, must be a power of two",
               QuoteName(kGgufAlignmentKey), header_.alignment);
    }
  }

  void ReadTensor() {
    const int64_t at = reader_.offset();
    const std::string_view name = ReadText("name of a tensor");
    if (std::cmp_greater(name.size(), kGgufMaxTensorName)) {
      FailFile("byte {}: a tensor's name has {} bytes, at most {} are allowed",
               at, name.size(), kGgufMaxTensorName);
    }
    if (name.find('\0') != std::string_view::npos) {
      FailFile("byte {}: a tensor's name has a zero byte: {}", at,
               QuoteName(name));
    }
    GgufTensor& tensor = header_.tensors.emplace_back();
    tensor.name = name;
    ReadShape(tensor);
    tensor.type = reader_.Read<uint32_t>("type of a tensor");
    tensor.dtype = FindGgufDType(tensor.type);
    const auto offset = reader_.Read<uint64_t>("offset of a tensor");
    if (!std::in_range<int64_t>(offset)) {
      FailTensor(tensor, "its offset is {}", offset);
    }
    tensor.offset = static_cast<int64_t>(offset);
    CheckShape(tensor);
  }

  template <class... Args>
  [[noreturn]] void FailTensor(const GgufTensor& tensor,
                               fmt::format_string<Args...> text,
                               Args&&... args) {
    FailFile("tensor {}: {}", QuoteName(tensor.name),
             fmt::format(text, std::forward<Args>(args)...));
  }

  void ReadShape(GgufTensor& tensor) {
    const auto rank = reader_.Read<uint32_t>("rank of a tensor");
    if (std::cmp_greater(rank, kGgufMaxRank)) {
      FailTensor(tensor, "has {} dimensions, at most {} are allowed", rank,
                 kGgufMaxRank);
    }
    for (uint32_t i = 0; i < rank; ++i) {
      const uint64_t dim = ReadLength("dimension of a tensor");
      if (!std::in_range<int64_t>(dim)) {
        FailTensor(tensor, "has a dimension of {}", static_cast<int64_t>(dim));
      }
      tensor.shape.push_back(static_cast<int64_t>(dim));
    }
    std::reverse(tensor.shape.begin(), tensor.shape.end());
  }

  void CheckShape(GgufTensor& tensor) {
    const std::vector<int64_t>& shape = tensor.shape;
    // A dimension of 0 makes the product 0 whatever the others are.
    const bool none = std::find(shape.begin(), shape.end(), 0) != shape.end();
    std::optional<int64_t> elements = none ? 0 : 1;
    for (int64_t dim : shape) {
      if (elements) elements = CheckedMultiply(*elements, dim);
    }
    if (!elements) {
      FailTensor(tensor, "shape {} has 2^63 elements or more",
                 ShapeText(shape));
    }
    tensor.elements = *elements;
    if (!tensor.dtype) return;  // its size is only known to its maker
    const DTypeInfo& info = Info(*tensor.dtype);
    const int64_t row = shape.empty() ? 1 : shape.back();
    if (row % info.block_elements != 0) {
      FailTensor(tensor,
                 "rows of {} elements are no whole blocks of {}, which "
                 "have {}",
                 row, info.name, info.block_elements);
    }
    const auto bytes = CheckedMultiply(tensor.elements / info.block_elements,
                                       info.block_bytes);
    if (!bytes) {
      FailTensor(tensor, "{} {} needs 2^63 bytes or more", info.name,
                 ShapeText(shape));
    }
    tensor.bytes = *bytes;
  }

  void PlaceTensors() {
    const auto begin = Padded(reader_.offset(), header_.alignment);
    header_.data_offset = begin.value();  // of a size and a u32
    if (header_.tensors.empty()) return;
    if (header_.data_offset > file_->size()) {
      FailFile(
          "has {} bytes, its tensors are to begin at byte {}; the file is "
          "incomplete",
          file_->size(), header_.data_offset);
    }
    // Where the next one must begin, once the type of `before` is known.
    int64_t expected = 0;
    GgufTensor* before = nullptr;
    for (GgufTensor& tensor : header_.tensors) {
      if (before != nullptr && !before->dtype) {
        EndAt(*before, tensor);
      } else if (tensor.offset != expected) {
        FailTensor(tensor,
                   "begins at data byte {}; the tensors before it end "
                   "at {}",
                   tensor.offset, expected);
      }
      if (tensor.dtype) expected = EndOf(tensor);
      before = &tensor;
    }
    if (!before->dtype) {
      before->bytes = std::max<int64_t>(
          0, file_->size() - header_.data_offset - before->offset);
    }
    CheckComplete();
  }

  // `tensor`, of a type that is not known, ends where `next` begins.
  void EndAt(GgufTensor& tensor, const GgufTensor& next) {
    if (next.offset < tensor.offset || next.offset % header_.alignment != 0) {
      FailTensor(next, "begins at data byte {}, which cannot follow {} at {}",
                 next.offset, QuoteName(tensor.name), tensor.offset);
    }
    tensor.bytes = next.offset - tensor.offset;
  }

  int64_t EndOf(const GgufTensor& tensor) {
    const auto end = CheckedAdd(tensor.offset, tensor.bytes);
    const auto padded = end ? Padded(*end, header_.alignment) : std::nullopt;
    if (!padded || !CheckedAdd(*padded, header_.data_offset)) {
      FailTensor(tensor, "{} bytes at data byte {} end beyond 2^63",
                 tensor.bytes, tensor.offset);
    }
    return *padded;
  }

  // The last tensor may lack its padding.
  void CheckComplete() {
    const int64_t data_bytes = file_->size() - header_.data_offset;
    const GgufTensor* missing = nullptr;
    int64_t needed = 0;
    for (const GgufTensor& tensor : header_.tensors) {
      needed = std::max(needed, tensor.offset + tensor.bytes);
      if (needed > data_bytes && missing == nullptr) missing = &tensor;
    }
    if (missing == nullptr) return;
    FailFile(
        "has {} bytes, its tensors need {}; the file is incomplete from "
        "tensor {} on",
        file_->size(), static_cast<uint64_t>(header_.data_offset) + needed,
        QuoteName(missing->name));
  }

  const std::shared_ptr<const MappedFile>& file_;
  ByteReader reader_;
  GgufHeader header_;
};

}  // namespace

GgufHeader ReadGgufHeader(const std::shared_ptr<const MappedFile>& file) {
  return GgufReader(file).Read();
}

}  // namespace tl
