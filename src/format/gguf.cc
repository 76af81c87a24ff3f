// Reading GGUF; format/gguf_header.h has the layout. A model in several files
// is opened by its first.

#include "base/error.h"
#include "format/formats.h"
#include "format/gguf_header.h"
#include "format/gguf_split.h"

namespace tl {
namespace {

TensorEntry EntryOf(GgufTensor&& tensor,
                    const std::shared_ptr<const MappedFile>& file,
                    int64_t data_offset) {
  TensorEntry entry;
  entry.name = std::move(tensor.name);
  entry.dtype = tensor.dtype;
  if (!tensor.dtype) entry.foreign_type = fmt::format("type {}", tensor.type);
  entry.shape = std::move(tensor.shape);
  entry.elements = tensor.elements;
  entry.bytes = tensor.bytes;
  // The bytes are never written to: Tensor has one pointer for both cases. The
  // file holds them all; one of no bytes may be said to lie beyond its end.
  auto* data = const_cast<std::byte*>(file->bytes().data());
  if (tensor.bytes > 0) data += data_offset + tensor.offset;
  entry.data = std::shared_ptr<std::byte>(
      std::const_pointer_cast<MappedFile>(file), data);
  entry.file = file;
  return entry;
}

}  // namespace

bool IsGguf(const MappedFile& file) {
  const std::string_view text(
      reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  return text.starts_with(kGgufMagic);
}

Model LoadGgufFile(std::shared_ptr<const MappedFile> file) {
  GgufHeader header = ReadGgufHeader(file);
  Model model(file->path(), kGguf);
  model.set_format_version(static_cast<int>(header.version));
  model.metadata() = std::move(header.metadata);
  model.Reserve(static_cast<int64_t>(header.tensors.size()));
  for (GgufTensor& tensor : header.tensors) {
    model.Add(EntryOf(std::move(tensor), file, header.data_offset));
  }
  model.AddFile(file);  // also if it is a vocabulary without tensors
  file->CheckIntact();
  return model;
}

Model LoadGguf(std::shared_ptr<const MappedFile> file) {
  return WithGgufParts(LoadGgufFile(std::move(file)));
}

}  // namespace tl
