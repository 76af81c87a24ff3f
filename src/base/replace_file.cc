#include "base/replace_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/sandbox.h"
#include "base/slot_list.h"

namespace tl {

struct UnfinishedSlot {
  std::array<char, PATH_MAX> path;
  std::atomic<bool> armed{false};
};

namespace {

constinit SlotList<UnfinishedSlot> unfinished;

// Pieces below this are gathered: a system call costs about as much as copying
// 16 KB, and some models have 100,000 tensors of a few bytes.
constexpr int64_t kSmallPiece = 64 << 10;
// Copying through a buffer of this size stays in the cache. The kernel's own
// copy_file_range is as fast where both files are aligned alike and takes twice
// as long elsewhere; writing from the mapping makes all of it resident.
constexpr int64_t kBufferBytes = 1 << 20;
// The disk starts on what is written while the rest is copied; waiting for
// Commit() to start it would leave it idle for half of the time.
constexpr int64_t kWritebackStep = 16 << 20;
// One call writes at most this much, so that the disk starts early.
constexpr size_t kWriteStep = 8 << 20;
constexpr int kMaxLinks = 40;  // what the kernel follows

void OnTerminate(int signal_number) {
  RemoveUnfinishedFiles();
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

// Only where nobody else handles the signal: a program that does is expected
// to unwind, or to call RemoveUnfinishedFiles().
void InstallTerminateHandlers() {
  for (int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction current;
    sigaction(signal_number, nullptr, &current);
    if (current.sa_flags & SA_SIGINFO || current.sa_handler != SIG_DFL) {
      continue;
    }
    struct sigaction action = {};
    action.sa_handler = OnTerminate;
    sigaction(signal_number, &action, nullptr);
  }
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Such as /dev/stdout, which leads to /proc/self/fd/1: no place for a file, and one
// that took the place of what it leads to would not be what is open.
bool IsOpenFile(const std::string& link) {
  struct statfs system;
  return statfs(DirectoryOf(link).c_str(), &system) == 0 &&
         system.f_type == PROC_SUPER_MAGIC;
}

// A path whose last component is no link. It need not exist.
std::string FollowLinks(const std::string& path) {
  std::string target = path;
  for (int i = 0; i < kMaxLinks; ++i) {
    std::array<char, PATH_MAX> link;
    const ssize_t length = readlink(target.c_str(), link.data(), link.size());
    if (length < 0) return target;
    if (IsOpenFile(target)) {
      Fail(ErrorKind::kInput, "{}: is open already, no place for a new file",
           path);
    }
    const std::string_view text(link.data(), length);
    const size_t slash = target.rfind('/');
    if (text.starts_with('/') || slash == std::string::npos) {
      target = text;
    } else {
      target = target.substr(0, slash + 1).append(text);
    }
  }
  Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(ELOOP));
}

std::string TargetOf(const std::string& path) {
  RequireWritable(path);
  return FollowLinks(path);
}

void RequireFreeSpace(const std::string& path, const std::string& directory,
                      int64_t size) {
  struct statvfs disk;
  if (statvfs(directory.c_str(), &disk) != 0) {
    Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(errno));
  }
  const auto available =
      static_cast<unsigned __int128>(disk.f_bavail) * disk.f_frsize;
  if (available < static_cast<unsigned __int128>(size)) {
    Fail(ErrorKind::kInput, "{}: needs {} bytes, the disk has {} free", path,
         size, static_cast<uint64_t>(available));
  }
}

// What is at the target now; st_mode is 0 when there is nothing.
struct stat ExistingFile(const std::string& path, const std::string& target) {
  struct stat status = {};
  if (stat(target.c_str(), &status) != 0) {
    if (errno != ENOENT) {
      Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(errno));
    }
    status.st_mode = 0;
    return status;
  }
  if (S_ISDIR(status.st_mode)) {
    Fail(ErrorKind::kInput, "{}: is a directory", path);
  }
  if (!S_ISREG(status.st_mode)) {
    Fail(ErrorKind::kInput, "{}: is not a regular file", path);
  }
  // A rename would replace a file that is write-protected.
  if (access(target.c_str(), W_OK) != 0) {
    Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(errno));
  }
  return status;
}

// ".tl-PID-N.partial"
bool IsTemporaryName(std::string_view name) {
  constexpr std::string_view kFirst = ".tl-", kLast = ".partial";
  if (name.size() <= kFirst.size() + kLast.size() || !name.starts_with(kFirst) ||
      !name.ends_with(kLast)) {
    return false;
  }
  name = name.substr(kFirst.size(), name.size() - kFirst.size() - kLast.size());
  return name.find_first_not_of("0123456789-") == std::string_view::npos;
}

// A temporary file is locked by who writes it, as long as that lives. False where
// a program that cleans up was quicker, and has removed it.
bool Hold(int descriptor) {
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
  struct stat status;
  return fstat(descriptor, &status) == 0 && status.st_nlink > 0;
}

// What programs that were killed left behind, which nobody holds. Where a file
// system has no locks nothing is.
void RemoveLeftBehind(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (fs::directory_iterator entry(directory, ignored), end; entry != end;
       entry.increment(ignored)) {
    if (!IsTemporaryName(entry->path().filename().native())) continue;
    const int found = open(entry->path().c_str(),
                           O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (found < 0) continue;
    struct stat status;
    const bool is_file = fstat(found, &status) == 0 && S_ISREG(status.st_mode);
    if (is_file && flock(found, LOCK_EX | LOCK_NB) == 0) {
      unlink(entry->path().c_str());
    }
    close(found);
  }
}

// A file without a name, of which not even kill -9 leaves anything; negative
// where the file system has none, or nothing to name it by later.
int OpenNameless(const std::string& directory) {
  if (access("/proc/self/fd", X_OK) != 0) return -1;
  return open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
}

// Negative with EEXIST where another name has to be tried.
int CreateTemporary(const std::string& path) {
  const int made =
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (made < 0 || Hold(made)) return made;
  close(made);
  errno = EEXIST;
  return -1;
}

}  // namespace

void RemoveUnfinishedFiles() {
  unfinished.VisitUntil([](UnfinishedSlot& slot) {
    if (slot.armed.exchange(false)) unlink(slot.path.data());
    return false;
  });
}

ReplaceFile::ReplaceFile(const std::string& path, int64_t size,
                         Temporary temporary)
    : path_(path),
      target_(TargetOf(path)),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)) {
  const struct stat existing = ExistingFile(path_, target_);
  const std::string directory = DirectoryOf(target_);
  RemoveLeftBehind(directory);
  RequireFreeSpace(path_, directory, size);
  InstallTerminateHandlers();

  slot_ = &unfinished.Acquire();
  if (temporary != Temporary::kNamed) descriptor_ = OpenNameless(directory);
  nameless_ = descriptor_ >= 0;
  if (nameless_) {
    Hold(descriptor_);  // for when it has a name
  } else {
    descriptor_ = WithTemporaryName([this] { return CreateTemporary(temporary_); });
  }
  if (descriptor_ < 0) {
    const int error = errno;
    slot_->armed = false;
    unfinished.Release(*slot_);
    Fail(ErrorKind::kInput, "{}: {}", path_, ErrnoText(error));
  }
  if (existing.st_mode != 0) {
    // The owner first: changing it clears bits of the mode. Without the right
    // to give files away the new file is ours, as with any other editor.
    [[maybe_unused]] const int kept =
        fchown(descriptor_, existing.st_uid, existing.st_gid);
    fchmod(descriptor_, existing.st_mode & 07777);
  }
}

// Calls create() with new names for the temporary file until one is not taken.
template <class Create>
int ReplaceFile::WithTemporaryName(const Create& create) {
  static std::atomic<unsigned> counter{0};
  int result = 0;
  do {
    // A short name of its own: the target's may already be the longest allowed.
    temporary_ = fmt::format("{}/.tl-{}-{}.partial", DirectoryOf(target_),
                             getpid(), counter++);
    if (temporary_.size() < slot_->path.size()) {
      std::memcpy(slot_->path.data(), temporary_.c_str(),
                  temporary_.size() + 1);
      slot_->armed = true;  // before there is a file: no moment is missed
    }
    result = create();
  } while (result < 0 && errno == EEXIST);
  return result;
}

ReplaceFile::~ReplaceFile() {
  if (descriptor_ >= 0) {
    close(descriptor_);
    if (slot_->armed.exchange(false)) unlink(temporary_.c_str());
  }
  unfinished.Release(*slot_);
}

void ReplaceFile::FailWriting(int error) {
  Fail(ErrorKind::kInput, "{}: cannot write at byte {}: {}", path_,
       lseek(descriptor_, 0, SEEK_CUR), ErrnoText(error));
}

void ReplaceFile::Append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t step = std::min(bytes.size(), kWriteStep);
    const ssize_t wrote = write(descriptor_, bytes.data(), step);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) FailWriting(errno);
    bytes = bytes.subspan(wrote);
  }
}

void ReplaceFile::Flush() {
  Append({buffer_.get(), static_cast<size_t>(buffered_)});
  buffered_ = 0;
}

void ReplaceFile::StartWriteback() {
  if (written_ - writeback_ < kWritebackStep) return;
  sync_file_range(descriptor_, writeback_, written_ - writeback_,
                  SYNC_FILE_RANGE_WRITE);
  writeback_ = written_;
}

void ReplaceFile::Write(std::span<const std::byte> bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  if (size < kSmallPiece) {
    if (buffered_ + size > kBufferBytes) Flush();
    std::copy(bytes.begin(), bytes.end(), buffer_.get() + buffered_);
    buffered_ += size;
  } else {
    Flush();
    Append(bytes);
  }
  written_ += size;
  StartWriteback();
}

void ReplaceFile::Copy(const MappedFile& source, int64_t offset, int64_t size) {
  if (size < kSmallPiece) return Write(source.bytes().subspan(offset, size));
  Flush();
  while (size > 0) {
    const ssize_t got = pread(source.descriptor(), buffer_.get(),
                              std::min(size, kBufferBytes), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      Fail(ErrorKind::kInput, "{}: {}", source.path(), ErrnoText(errno));
    }
    if (got == 0) {
      source.CheckIntact();
      Fail(ErrorKind::kInput, "{}: ends at byte {}, {} more are needed",
           source.path(), offset, size);
    }
    Append({buffer_.get(), static_cast<size_t>(got)});
    offset += got;
    size -= got;
    written_ += got;
    StartWriteback();
  }
}

// A file that has a name cannot be replaced by one that has none, so the name is
// taken in two steps; between them a few microseconds pass.
void ReplaceFile::GiveTemporaryName() {
  const std::string own = fmt::format("/proc/self/fd/{}", descriptor_);
  const int result = WithTemporaryName([&] {
    return linkat(AT_FDCWD, own.c_str(), AT_FDCWD, temporary_.c_str(),
                  AT_SYMLINK_FOLLOW);
  });
  if (result == 0) return;
  const int error = errno;
  slot_->armed = false;
  Fail(ErrorKind::kInput, "{}: {}", path_, ErrnoText(error));
}

void ReplaceFile::Commit() {
  Flush();
  if (fsync(descriptor_) != 0) FailWriting(errno);
  if (nameless_) GiveTemporaryName();
  if (rename(temporary_.c_str(), target_.c_str()) != 0) {
    Fail(ErrorKind::kInput, "{}: {}", path_, ErrnoText(errno));
  }
  slot_->armed = false;
  close(std::exchange(descriptor_, -1));
  // The name is safe only once the directory is.
  const int directory =
      open(DirectoryOf(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    const int result = fsync(directory);
    const int error = errno;
    close(directory);
    // EINVAL: a file system that cannot sync directories.
    if (result != 0 && error != EINVAL) {
      Fail(ErrorKind::kInput, "{}: {}", path_, ErrnoText(error));
    }
  }
}

}  // namespace tl
