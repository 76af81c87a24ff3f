#include "cuda/decode_counts.h"

#include <utility>
#include <vector>

#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

// More conversions than this between two readings share a reading.
constexpr int64_t kMostCounters = 1024;
constexpr int64_t kBytes = kMostCounters * sizeof(LostCounts);

struct Counters {
  std::shared_ptr<std::byte> memory;  // from the first conversion on
  std::vector<DecodeCounts*> readers;

  LostCounts* records() { return reinterpret_cast<LostCounts*>(memory.get()); }
};

Counters& TheCounters() {
  static Counters& counters = *new Counters;
  return counters;
}

}  // namespace

LostCounts* CountersFor(DecodeCounts* to) {
  Counters& counters = TheCounters();
  if (counters.readers.size() == kMostCounters) ReadCounts();
  if (!counters.memory) counters.memory = Allocate(kBytes);
  if (counters.readers.empty()) Fill(counters.memory.get(), 0, kBytes);
  counters.readers.push_back(to);
  return counters.records() + counters.readers.size() - 1;
}

void ReadCounts() {
  Counters& counters = TheCounters();
  if (counters.readers.empty()) return;
  const std::vector<DecodeCounts*> readers = std::move(counters.readers);
  counters.readers.clear();
  std::vector<LostCounts> lost(readers.size());
  CopyFromDevice(reinterpret_cast<std::byte*>(lost.data()),
                 counters.memory.get(),
                 static_cast<int64_t>(lost.size() * sizeof(LostCounts)));
  for (size_t i = 0; i < lost.size(); ++i) {
    readers[i]->overflowed += static_cast<int64_t>(lost[i].overflowed);
    readers[i]->flushed += static_cast<int64_t>(lost[i].flushed);
    readers[i]->nan += static_cast<int64_t>(lost[i].nan);
  }
}

void ForgetCounts() { TheCounters().readers.clear(); }

}  // namespace tl::cuda
