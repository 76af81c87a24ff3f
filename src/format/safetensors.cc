// Reading SafeTensors.
//
//   offset 0      8 bytes   N, little-endian
//   offset 8      N bytes   JSON: {"name": {"dtype": "F16", "shape": [2, 3],
//                           "data_offsets": [begin, end]}, "__metadata__": {…}}
//   offset 8 + N  the rest  the tensors, row-major, little-endian, at any
//                           alignment, without holes
//
// https://github.com/huggingface/safetensors, README.md, "Format"

#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "format/formats.h"
#include "format/safetensors_header.h"

namespace tl {
namespace {

struct HeaderSize {
  uint64_t declared;
  bool fits;  // into the file, and below the limit
};

HeaderSize ReadHeaderSize(const MappedFile& file) {
  ByteReader reader(file.bytes(), file.path());
  const auto declared = reader.Read<uint64_t>("header length");
  return {declared, declared <= kSafeTensorsMaxHeader &&
                        static_cast<int64_t>(declared) <= reader.remaining()};
}

// Read, not mapped: a header of 10 MB would count as resident for ever.
simdjson::padded_string ReadHeader(const MappedFile& file, int64_t size) {
  simdjson::padded_string json(size);
  int64_t got = 0;
  while (got < size) {
    const ssize_t read_now = pread(file.descriptor(), json.data() + got,
                                   size - got, kSafeTensorsJsonOffset + got);
    if (read_now < 0 && errno == EINTR) continue;
    if (read_now < 0) {
      Fail(ErrorKind::kInput, "{}: {}", file.path(), ErrnoText(errno));
    }
    if (read_now == 0) {
      file.CheckIntact();
      Fail(ErrorKind::kInput, "{}: ends inside its header", file.path());
    }
    got += read_now;
  }
  return json;
}

void CheckHeaderSize(const MappedFile& file) {
  if (file.size() < kSafeTensorsJsonOffset) {
    Fail(ErrorKind::kInput,
         "{}: {} bytes, a SafeTensors file has at least 8 before its header",
         file.path(), file.size());
  }
  const HeaderSize header = ReadHeaderSize(file);
  if (header.declared > kSafeTensorsMaxHeader) {
    Fail(ErrorKind::kInput,
         "{}: is no SafeTensors file: its header would have {} bytes, at most "
         "{} are allowed",
         file.path(), header.declared, kSafeTensorsMaxHeader);
  }
  if (!header.fits) {
    Fail(ErrorKind::kInput,
         "{}: its header has {} bytes, but only {} follow; the file is "
         "incomplete or no SafeTensors file",
         file.path(), header.declared, file.size() - kSafeTensorsJsonOffset);
  }
  if (header.declared == 0) {
    Fail(ErrorKind::kInput, "{}: its header is empty", file.path());
  }
}

}  // namespace

bool IsSafeTensors(const MappedFile& file) {
  if (file.size() < kSafeTensorsJsonOffset) return false;
  const HeaderSize header = ReadHeaderSize(file);
  if (!header.fits) return false;
  // Spaces may come first, usually to align the data.
  for (std::byte b :
       file.bytes().subspan(kSafeTensorsJsonOffset, header.declared)) {
    const char c = static_cast<char>(b);
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return c == '{';
  }
  return false;
}

Model LoadSafeTensors(std::shared_ptr<const MappedFile> file) {
  CheckHeaderSize(*file);
  const auto header_bytes =
      static_cast<int64_t>(ReadHeaderSize(*file).declared);
  const int64_t data_offset = kSafeTensorsJsonOffset + header_bytes;
  SafeTensorsHeader header =
      ParseSafeTensorsHeader(file->path(), ReadHeader(*file, header_bytes),
                             file->size() - data_offset);

  Model model(file->path(), kSafeTensors);
  model.metadata() = std::move(header.metadata);
  model.Reserve(static_cast<int64_t>(header.tensors.size()));
  // The bytes are never written to: Tensor has one pointer for both cases.
  auto* data = const_cast<std::byte*>(file->bytes().data()) + data_offset;
  for (SafeTensorsTensor& tensor : header.tensors) {
    TensorEntry entry;
    entry.name = std::move(tensor.name);
    entry.dtype = tensor.dtype;
    entry.foreign_type = std::move(tensor.foreign_type);
    entry.shape = std::move(tensor.shape);
    entry.elements = tensor.elements;
    entry.bytes = tensor.end - tensor.begin;
    entry.data = std::shared_ptr<std::byte>(
        std::const_pointer_cast<MappedFile>(file), data + tensor.begin);
    entry.file = file;
    model.Add(std::move(entry));
  }
  return model;
}

}  // namespace tl
