// Files that are written: whole or not at all. The bytes go to a file in the same
// directory that has no name, and takes this one in one step once it is safe on
// the disk. A crash, kill -9 or a full disk at any moment leaves the old file or
// the new one, and nothing else. Where the file system knows no files without a
// name the file is called `.tl-PID-N.partial`; an error, Ctrl-C or SIGTERM still
// removes it, and what a kill leaves goes with the next file that is written to
// that directory: who writes one holds a lock on it.
// Saving over a file that is mapped is safe: the mapping keeps the old bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"

namespace tl {

struct UnfinishedSlot;

class ReplaceFile {
 public:
  // Opens the file to write. Follows a link at `path`, so that the link stays.
  // Fails when the disk has less than `size` bytes free, or when `path` is
  // something other than a file that may be written.
  // kNamed does without what not every file system has; for tests.
  enum class Temporary { kNamelessIfPossible, kNamed };
  ReplaceFile(const std::string& path, int64_t size,
              Temporary temporary = Temporary::kNamelessIfPossible);
  // Without Commit(): removes the temporary file.
  ~ReplaceFile();
  ReplaceFile(const ReplaceFile&) = delete;
  ReplaceFile& operator=(const ReplaceFile&) = delete;

  int64_t written() const { return written_; }
  // Commit() got as far as that, although it may have failed afterwards.
  bool has_its_name() const { return descriptor_ < 0; }

  void Write(std::span<const std::byte> bytes);
  // Appends a part of `source` without mapping it in.
  void Copy(const MappedFile& source, int64_t offset, int64_t size);

  // Puts everything on the disk and gives the file its name. Call after the
  // sources were found intact.
  void Commit();

 private:
  void Append(std::span<const std::byte> bytes);
  void Flush();
  void StartWriteback();
  template <class Create>
  int WithTemporaryName(const Create& create);
  void GiveTemporaryName();
  [[noreturn]] void FailWriting(int error);

  std::string path_;    // as the caller wrote it, for messages
  std::string target_;  // with links followed
  std::string temporary_;
  bool nameless_ = false;  // until Commit()
  int descriptor_ = -1;
  UnfinishedSlot* slot_ = nullptr;
  std::unique_ptr<std::byte[]> buffer_;  // small pieces, or a piece to copy
  int64_t buffered_ = 0;
  int64_t written_ = 0;    // including the buffer
  int64_t writeback_ = 0;  // up to here the disk has been told to start
};

// Removes the temporary files of this process; for signal handlers. Ctrl-C and
// SIGTERM do it by themselves unless the program handles them otherwise.
void RemoveUnfinishedFiles();

}  // namespace tl
