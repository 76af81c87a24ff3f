#include "base/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "base/error.h"

namespace tl {
namespace {

// Below this the question costs more than it is worth: reading /proc/meminfo
// takes about 30 us, touching 64 MB about 10 ms.
constexpr int64_t kWorthAsking = int64_t{64} << 20;

int64_t ReadNumber(const char* path) {
  std::ifstream in(path);
  int64_t value;
  return in >> value ? value : -1;  // "max" reads as no limit
}

int64_t MemAvailable() {
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  for (int64_t kb; in >> key >> kb; std::getline(in, unit)) {
    if (key == "MemAvailable:") return kb * 1024;
  }
  return -1;
}

// Version 2 control groups as seen from inside a container.
int64_t ControlGroupLeft() {
  const int64_t limit = ReadNumber("/sys/fs/cgroup/memory.max");
  const int64_t used = ReadNumber("/sys/fs/cgroup/memory.current");
  return limit < 0 || used < 0 ? -1 : std::max<int64_t>(0, limit - used);
}

}  // namespace

int64_t AvailableMemory() {
  const int64_t machine = MemAvailable();
  const int64_t group = ControlGroupLeft();
  if (machine < 0 || group < 0) return std::max(machine, group);
  return std::min(machine, group);
}

void RequireMemory(int64_t bytes) {
  if (bytes < kWorthAsking) return;
  const int64_t known = AvailableMemory();
  const int64_t available =
      std::min(known < 0 ? INT64_MAX : known, most_memory_at_once.load());
  if (bytes > available) {
    Fail(ErrorKind::kInternal,
         "out of memory: {:.1f} MB needed, {:.1f} MB available", bytes / 1e6,
         available / 1e6);
  }
}

void AppendText(std::string& text, std::string_view more) {
  const size_t size = text.size() + more.size();
  if (size > text.capacity()) {
    const size_t room = std::max(size, 2 * text.capacity());
    RequireMemory(static_cast<int64_t>(room));
    text.reserve(room);
  }
  text += more;
}

std::string BinarySize(int64_t bytes) {
  constexpr int64_t kKi = 1 << 10, kMi = 1 << 20, kGi = 1 << 30;
  const auto in = [bytes](int64_t unit, std::string_view name) {
    return fmt::format("{:.1f} {}", static_cast<double>(bytes) / unit, name);
  };
  if (bytes >= kGi) return in(kGi, "GiB");
  if (bytes >= kMi) return in(kMi, "MiB");
  if (bytes >= kKi) return in(kKi, "KiB");
  return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
}

void AdviseHugePages(void* block, int64_t bytes) {
  madvise(block, bytes, MADV_HUGEPAGE);  // a hint; refusal changes nothing
}

}  // namespace tl
