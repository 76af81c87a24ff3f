// A weight file, format 2:
//
//   offset 0    u32 number of blobs, u32 version (2), 56 bytes reserved
//   then, each at a multiple of 64:
//     a record  u32 0xDEADBEEF, u32 type, u64 bytes, u64 offset of the data,
//               u64 unused bits at the end, 32 bytes reserved
//     data      at its offset
//
// A constant names the offset of the record. The unused bits are not checked:
// coremltools 7 left garbage there where the type has none.
// https://github.com/apple/coremltools, mlmodel/src/MILBlob/Blob

#include "format/blob_file.h"

#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "format/path_within.h"

namespace tl {
namespace {

constexpr uint32_t kVersion = 2;
constexpr uint32_t kSentinel = 0xDEADBEEF;
constexpr std::string_view kModelPath = "@model_path/";

void CheckHeader(const MappedFile& file) {
  ByteReader reader(file.bytes(), file.path());
  reader.Read<uint32_t>("the number of blobs");
  const auto version = reader.Read<uint32_t>("the version of a weight file");
  if (version != kVersion) {
    Fail(ErrorKind::kInput,
         "{}: is a weight file of version {}, this build reads version {}",
         file.path(), version, kVersion);
  }
}

}  // namespace

const std::shared_ptr<const MappedFile>& BlobFiles::Open(
    const std::string& name, const std::string& what) {
  const auto known = files_.find(name);
  if (known != files_.end()) return known->second;
  std::string_view inside = name;
  if (inside.starts_with(kModelPath)) inside.remove_prefix(kModelPath.size());
  auto file = MappedFile::Open(PathWithin(folder_, std::string(inside), what));
  CheckHeader(*file);
  return files_.emplace(name, std::move(file)).first->second;
}

Blob BlobFiles::Find(const coreml::spec::Value::BlobFile& value,
                     const MilTensorType& type, const std::string& what) {
  const auto& file = Open(value.file_name(), what);
  if (value.offset() > static_cast<uint64_t>(file->size())) {
    Fail(ErrorKind::kInput, "{}: begins at byte {} of {}, which has {}", what,
         value.offset(), file->path(), file->size());
  }
  const auto offset = static_cast<int64_t>(value.offset());
  ByteReader record(file->bytes().subspan(offset), file->path(), offset);
  const auto sentinel = record.Read<uint32_t>("the record of a blob");
  if (sentinel != kSentinel) {
    Fail(ErrorKind::kInput, "{}: no blob begins at byte {} of {}", what, offset,
         file->path());
  }
  const auto stored = record.Read<uint32_t>("the type of a blob");
  const auto bytes = record.Read<uint64_t>("the size of a blob");
  const auto begin = record.Read<uint64_t>("the offset of a blob");
  if (static_cast<int64_t>(stored) != Info(type.type).blob) {
    Fail(ErrorKind::kInput, "{}: is {}, but its blob has the type {}", what,
         ToText(type), stored);
  }
  if (bytes != static_cast<uint64_t>(type.bytes)) {
    Fail(ErrorKind::kInput, "{}: is {} of {} bytes, but its blob has {}", what,
         ToText(type), type.bytes, bytes);
  }
  const auto size = static_cast<uint64_t>(file->size());
  if (begin > size || bytes > size - begin) {
    Fail(ErrorKind::kInput,
         "{}: has {} bytes from byte {} of {}, which has {}; the file is "
         "incomplete",
         what, bytes, begin, file->path(), size);
  }
  return {file, file->bytes().subspan(begin, bytes)};
}

}  // namespace tl
