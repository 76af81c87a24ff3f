#include "format/gguf_writer.h"

#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "format/gguf_header.h"
#include "format/recode.h"

namespace tl {
namespace {

constexpr size_t kMaxKey = 65535;  // docs/gguf.md

template <class T>
void Append(std::string& out, T number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void AppendText(std::string& out, std::string_view text) {
  Append(out, static_cast<uint64_t>(text.size()));
  out.append(text);
}

void AppendBytes(std::string& out, std::span<const std::byte> bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void AppendEntry(std::string& out, const MetadataEntry& entry) {
  if (entry.key.empty() || entry.key.size() > kMaxKey) {
    Fail(ErrorKind::kInput,
         "metadata {}: GGUF has keys of 1 to {} bytes, this one has {}",
         QuoteName(entry.key), kMaxKey, entry.key.size());
  }
  AppendText(out, entry.key);
  Append(out, static_cast<uint32_t>(entry.value.kind()));
  if (entry.value.is_array()) {
    const MetadataArray array = entry.value.array();
    Append(out, static_cast<uint32_t>(array.kind()));
    Append(out, static_cast<uint64_t>(array.size()));
  } else if (entry.value.kind() == MetadataKind::String) {
    Append(out, static_cast<uint64_t>(entry.value.bytes().size()));
  }
  AppendBytes(out, entry.value.bytes());
}

uint32_t TypeNumber(const OutputTensor& tensor) {
  const int number = tensor.dtype ? Info(*tensor.dtype).gguf : -1;
  if (number < 0) {
    Fail(ErrorKind::kInput, "tensor {}: GGUF has no type {}",
         QuoteName(tensor.name), tensor.type_name());
  }
  return static_cast<uint32_t>(number);
}

void CheckTensor(const OutputTensor& tensor) {
  if (std::cmp_greater(tensor.name.size(), kGgufMaxTensorName) ||
      tensor.name.find('\0') != std::string::npos) {
    Fail(ErrorKind::kInput,
         "tensor {}: GGUF has names of at most {} bytes without NUL, this one "
         "has {}",
         QuoteName(tensor.name), kGgufMaxTensorName, tensor.name.size());
  }
  if (std::cmp_greater(tensor.shape.size(), kGgufMaxRank)) {
    Fail(ErrorKind::kInput, "tensor {}: GGUF has at most {} dimensions, not {}",
         QuoteName(tensor.name), kGgufMaxRank, tensor.shape.size());
  }
  const int64_t block = tensor.dtype ? Info(*tensor.dtype).block_elements : 1;
  const int64_t columns = tensor.shape.empty() ? 1 : tensor.shape.back();
  if (columns % block != 0) {
    Fail(ErrorKind::kInput,
         "tensor {}: rows of {} are not whole blocks of {}, which {} needs",
         QuoteName(tensor.name), columns, block, tensor.type_name());
  }
}

void AppendTensor(std::string& out, const OutputTensor& tensor,
                  int64_t offset) {
  CheckTensor(tensor);
  AppendText(out, tensor.name);
  Append(out, static_cast<uint32_t>(tensor.shape.size()));
  for (size_t axis = tensor.shape.size(); axis-- > 0;) {
    Append(out, static_cast<uint64_t>(tensor.shape[axis]));
  }
  Append(out, TypeNumber(tensor));
  Append(out, static_cast<uint64_t>(offset));
}

int64_t AlignmentOf(const Metadata& metadata) {
  return metadata.Int(kGgufAlignmentKey).value_or(kGgufDefaultAlignment);
}

int64_t Padded(int64_t bytes, int64_t alignment) {
  const std::optional<int64_t> reached = CheckedAdd(bytes, alignment - 1);
  if (!reached) FailTooLarge();
  return *reached / alignment * alignment;
}

}  // namespace

std::string GgufHeaderBytes(const std::vector<OutputTensor>& tensors,
                            const Metadata& metadata) {
  const int64_t alignment = AlignmentOf(metadata);
  std::string header(kGgufMagic);
  Append(header, kGgufNewestVersion);
  Append(header, static_cast<uint64_t>(tensors.size()));
  Append(header, static_cast<uint64_t>(metadata.size()));
  for (const MetadataEntry& entry : metadata) AppendEntry(header, entry);
  int64_t offset = 0;
  for (const OutputTensor& tensor : tensors) {
    AppendTensor(header, tensor, offset);
    const std::optional<int64_t> end = CheckedAdd(offset, tensor.bytes);
    if (!end) FailTooLarge();
    offset = Padded(*end, alignment);
  }
  header.resize(Padded(static_cast<int64_t>(header.size()), alignment), '\0');
  return header;
}

int64_t GgufBytes(const std::vector<OutputTensor>& tensors,
                  const std::string& header, const Metadata& metadata) {
  int64_t bytes = static_cast<int64_t>(header.size());
  for (const OutputTensor& tensor : tensors) {
    const auto end =
        CheckedAdd(bytes, Padded(tensor.bytes, AlignmentOf(metadata)));
    if (!end) FailTooLarge();
    bytes = *end;
  }
  return bytes;
}

std::vector<int64_t> WriteGguf(const std::vector<OutputTensor>& tensors,
                               const std::string& header,
                               const Metadata& metadata, ReplaceFile& out,
                               Progress& progress) {
  const int64_t alignment = AlignmentOf(metadata);
  std::vector<int64_t> vanished;
  out.Write(std::as_bytes(std::span(header)));
  for (const OutputTensor& tensor : tensors) {
    vanished.push_back(WriteTensor(tensor, out, progress));
    const std::vector<std::byte> padding(Padded(tensor.bytes, alignment) -
                                         tensor.bytes);
    out.Write(padding);
  }
  return vanished;
}

}  // namespace tl
