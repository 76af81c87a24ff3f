#include "base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/sandbox.h"
#include "base/slot_list.h"

namespace tl {

struct MappingSlot {
  std::atomic<uintptr_t> begin{0};
  std::atomic<size_t> size{0};  // whole pages; 0 while not in use
  std::atomic<bool> damaged{false};
  std::atomic<const MappedFile*> file{nullptr};
};

namespace {

constinit SlotList<MappingSlot> mappings;
constinit std::atomic<int> damaged_mappings{0};
struct sigaction previous_bus_action;

size_t PageSize() {
  static const size_t size = sysconf(_SC_PAGESIZE);
  return size;
}

// Replaces what cannot be read by zeros, from the page of `address` to the end
// of its mapping: after a shrink every later page would fault too.
bool RepairMapping(uintptr_t address) {
  bool repaired = false;
  mappings.VisitUntil([&](MappingSlot& slot) {
    const size_t size = slot.size.load();
    const uintptr_t begin = slot.begin.load();
    if (address - begin >= size) return false;
    // The slot may have been taken by another mapping between the two loads.
    if (slot.size.load() != size || slot.begin.load() != begin) return false;
    const uintptr_t page = address & ~(PageSize() - 1);
    repaired =
        mmap(reinterpret_cast<void*>(page), begin + size - page, PROT_READ,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
    if (repaired && !slot.damaged.exchange(true)) ++damaged_mappings;
    return true;
  });
  return repaired;
}

// Runs inside a signal: only loads, stores and system calls.
void OnBusError(int signal_number, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool from_kernel = info->si_code > 0;
  if (from_kernel &&
      RepairMapping(reinterpret_cast<uintptr_t>(info->si_addr))) {
    errno = saved_errno;
    return;
  }
  if (previous_bus_action.sa_flags & SA_SIGINFO) {
    previous_bus_action.sa_sigaction(signal_number, info, context);
  } else if (previous_bus_action.sa_handler != SIG_DFL &&
             previous_bus_action.sa_handler != SIG_IGN) {
    previous_bus_action.sa_handler(signal_number);
  } else {
    // Not ours: back to the default action, which the instruction that faulted
    // meets as soon as it runs again.
    signal(SIGBUS, SIG_DFL);
    if (!from_kernel) raise(SIGBUS);
  }
  errno = saved_errno;
}

void InstallBusHandler() {
  static std::once_flag once;
  std::call_once(once, [] {
    PageSize();
    struct sigaction action = {};
    action.sa_sigaction = OnBusError;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGBUS, &action, &previous_bus_action);
  });
}

int64_t ModifiedAt(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 +
         status.st_mtim.tv_nsec;
}

struct OpenedFile {
  int descriptor;
  struct stat status;
};

OpenedFile OpenRegular(const std::string& path) {
  RequireReadable(path);
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(errno));
  }
  struct stat status;
  if (fstat(file.get(), &status) != 0) {
    Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(errno));
  }
  if (S_ISDIR(status.st_mode)) {
    Fail(ErrorKind::kInput, "{}: is a directory", path);
  }
  if (!S_ISREG(status.st_mode)) {
    Fail(ErrorKind::kInput, "{}: is not a regular file", path);
  }
  return {file.Release(), status};
}

// Address space that reads as zeros, MAP_FAILED if there is none. It begins where
// a huge page can, so that the system maps 2 MB of a file at once where its cache
// holds them in one piece: a third less time for the faults of a first read.
void* Reserve(size_t size) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t spare = size < kHugePage ? 0 : kHugePage;
  void* region = mmap(nullptr, size + spare, PROT_READ,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED || spare == 0) return region;
  auto* const begin = static_cast<std::byte*>(region);
  const size_t before = -reinterpret_cast<uintptr_t>(region) % kHugePage;
  if (before > 0) munmap(begin, before);
  if (before < spare) munmap(begin + before + size, spare - before);
  return begin + before;
}

}  // namespace

std::string ErrnoText(int error) {
  std::string text = std::generic_category().message(error);
  // "No such file" but not "RPC program".
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1]))) {
    text[0] = static_cast<char>(std::tolower(text[0]));
  }
  return text;
}

std::shared_ptr<const MappedFile> MappedFile::Open(const std::string& path) {
  InstallBusHandler();
  const OpenedFile opened = OpenRegular(path);
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->descriptor_ = opened.descriptor;
  file->size_ = opened.status.st_size;
  file->modified_ = ModifiedAt(opened.status);

  // A page of zeros stays behind the file, for reads past its end.
  const size_t page = PageSize();
  const size_t pages = (file->size_ + page - 1) / page * page;
  void* region = Reserve(pages + page);
  if (region == MAP_FAILED) {
    Fail(ErrorKind::kInput, "{}: cannot map {} bytes: {}", path, file->size_,
         ErrnoText(errno));
  }
  file->begin_ = static_cast<const std::byte*>(region);
  if (pages > 0 && mmap(region, pages, PROT_READ, MAP_SHARED | MAP_FIXED,
                        opened.descriptor, 0) == MAP_FAILED) {
    Fail(ErrorKind::kInput, "{}: cannot map {} bytes: {}", path, file->size_,
         ErrnoText(errno));
  }
  file->slot_ = &mappings.Acquire();
  file->slot_->damaged = false;
  file->slot_->file = file.get();
  file->slot_->begin = reinterpret_cast<uintptr_t>(region);
  file->slot_->size = pages;
  return file;
}

std::shared_ptr<const MappedFile> MappedFile::Containing(const void* address) {
  std::shared_ptr<const MappedFile> file;
  mappings.VisitUntil([&](MappingSlot& slot) {
    const size_t size = slot.size.load();
    if (reinterpret_cast<uintptr_t>(address) - slot.begin.load() >= size) {
      return false;
    }
    file = slot.file.load()->shared_from_this();
    return true;
  });
  return file;
}

MappedFile::~MappedFile() {
  if (slot_ != nullptr) {
    slot_->size = 0;
    if (slot_->damaged.exchange(false)) --damaged_mappings;
    mappings.Release(*slot_);
  }
  if (begin_ != nullptr) {
    const size_t page = PageSize();
    munmap(const_cast<std::byte*>(begin_),
           (size_ + page - 1) / page * page + page);
  }
  if (descriptor_ >= 0) close(descriptor_);
}

void MappedFile::LetGo(int64_t offset, int64_t size) const {
  // Pages that are whole: others may be at work on what shares the ends.
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t begin = (offset + page - 1) / page * page;
  const int64_t end = (offset + size) / page * page;
  if (begin >= end) return;
  madvise(const_cast<std::byte*>(begin_) + begin,
          static_cast<size_t>(end - begin), MADV_DONTNEED);
}

void MappedFile::CheckIntact() const {
  struct stat status;
  if (fstat(descriptor_, &status) != 0) {
    Fail(ErrorKind::kInput, "{}: {}", path_, ErrnoText(errno));
  }
  if (status.st_size < size_) {
    Fail(ErrorKind::kInput,
         "{}: shrank from {} to {} bytes while it was in use", path_, size_,
         status.st_size);
  }
  if (ModifiedAt(status) != modified_) {
    Fail(ErrorKind::kInput, "{}: was written to while it was in use", path_);
  }
  if (slot_->damaged) {
    Fail(ErrorKind::kInput, "{}: {}", path_, ErrnoText(EIO));
  }
}

bool AnyMappedFileDamaged() { return damaged_mappings.load() > 0; }

std::string ReadTextFile(const std::string& path, int64_t limit) {
  const OpenedFile opened = OpenRegular(path);
  Descriptor file(opened.descriptor);
  if (opened.status.st_size > limit) {
    Fail(ErrorKind::kInput, "{}: {} bytes, at most {} are read", path,
         opened.status.st_size, limit);
  }
  std::string text;
  for (size_t got = 0;;) {
    // One more than the size, so that one call usually sees the end too.
    text.resize(std::max<size_t>(opened.status.st_size + 1, got + 4096));
    const ssize_t read_now =
        read(file.get(), text.data() + got, text.size() - got);
    if (read_now < 0 && errno == EINTR) continue;
    if (read_now < 0) Fail(ErrorKind::kInput, "{}: {}", path, ErrnoText(errno));
    got += read_now;
    if (read_now == 0) {
      text.resize(got);
      return text;
    }
    if (static_cast<int64_t>(got) > limit) {
      Fail(ErrorKind::kInput, "{}: more than {} bytes", path, limit);
    }
  }
}

}  // namespace tl
