// Files that are read: mapped read-only, touched only where they are used.
// A mapped file may shrink or its disk may fail while we read it. The kernel
// then raises SIGBUS; our handler puts zeros there and marks the mapping, so
// that reading goes on and CheckIntact() reports it. Whoever has read from a
// mapping calls CheckIntact() before trusting what was read.
// Writing is base/replace_file.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace tl {

struct MappingSlot;

class MappedFile : public std::enable_shared_from_this<MappedFile> {
 public:
  // Fails when `path` is not a regular file that can be read.
  static std::shared_ptr<const MappedFile> Open(const std::string& path);
  // The file whose mapping holds `address`, or null. The caller keeps the bytes
  // there alive, as a Tensor does.
  static std::shared_ptr<const MappedFile> Containing(const void* address);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  // At least 64 readable bytes follow, so vector kernels may read past the end.
  std::span<const std::byte> bytes() const {
    return {begin_, static_cast<size_t>(size_)};
  }
  int descriptor() const { return descriptor_; }  // for copying in the kernel

  // These bytes will not be read soon: they leave the memory of this process,
  // not the mapping, and reading them fetches them again.
  void LetGo(int64_t offset, int64_t size) const;

  // Fails if the file has shrunk or was written to since it was opened, or if
  // the disk could not give a part of it.
  void CheckIntact() const;

 private:
  MappedFile() = default;

  std::string path_;
  int descriptor_ = -1;
  const std::byte* begin_ = nullptr;
  int64_t size_ = 0;
  int64_t modified_ = 0;  // nanoseconds
  MappingSlot* slot_ = nullptr;
};

// True once any mapping that is open has lost bytes: one load, for those who
// read mapped memory without knowing which file it belongs to.
bool AnyMappedFileDamaged();

// The whole file in memory, at most `limit` bytes.
std::string ReadTextFile(const std::string& path, int64_t limit);

// "no such file or directory"
std::string ErrnoText(int error);

}  // namespace tl
