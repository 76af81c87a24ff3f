#include "format/diff.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "base/parallel.h"
#include "base/progress.h"
#include "tensor/decode.h"

namespace tl {
namespace {

// Two buffers of doubles of this many elements stay in the cache. A multiple of
// every block, so that a chunk begins at a whole one.
constexpr int64_t kDecodeChunk = 4096;
constexpr int64_t kCompareChunk = 32 * kDecodeChunk;

double Distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double distance = std::abs(a - b);
  return std::isnan(distance) ? std::numeric_limits<double>::infinity()
                              : distance;
}

ValueDifference CompareChunk(const TensorEntry& a, const TensorEntry& b,
                             int64_t begin, int64_t end) {
  std::array<double, kDecodeChunk> from_a, from_b;
  ValueDifference difference;
  for (int64_t at = begin; at < end; at += kDecodeChunk) {
    const int64_t stop = std::min(end, at + kDecodeChunk);
    const auto values_a = std::span(from_a).first(stop - at);
    const auto values_b = std::span(from_b).first(stop - at);
    Decode(*a.dtype, a.StoredElements(at, stop), values_a);
    Decode(*b.dtype, b.StoredElements(at, stop), values_b);
    for (int64_t i = 0; i < stop - at; ++i) {
      const double distance = Distance(values_a[i], values_b[i]);
      if (distance == 0) continue;
      ++difference.differing;
      if (distance > difference.largest) {
        difference.largest = distance;
        difference.largest_at = at + i;
      }
    }
  }
  return difference;
}

ValueDifference CompareValues(const TensorEntry& a, const TensorEntry& b) {
  std::vector<ValueDifference> parts((a.elements + kCompareChunk - 1) /
                                     kCompareChunk);
  ParallelFor(a.elements, kCompareChunk, [&](int64_t begin, int64_t end) {
    parts[begin / kCompareChunk] = CompareChunk(a, b, begin, end);
  });
  ValueDifference all;
  for (const ValueDifference& part : parts) {
    all.differing += part.differing;
    if (part.largest > all.largest) {
      all.largest = part.largest;
      all.largest_at = part.largest_at;
    }
  }
  return all;
}

bool SameBits(const TensorEntry& a, const TensorEntry& b) {
  return a.type_name() == b.type_name() && a.shape == b.shape &&
         a.bytes == b.bytes &&
         (a.bytes == 0 ||
          std::memcmp(a.stored().data(), b.stored().data(), a.bytes) == 0);
}

bool HasValues(const TensorEntry& entry) {
  return entry.dtype && CanDecode(*entry.dtype);
}

std::vector<std::string> CompareMetadata(const Model& a, const Model& b) {
  std::set<std::string> keys;
  const auto add_differing = [&keys](const auto& from, const auto& other) {
    for (const auto& [key, value] : from) {
      const MetadataValue* match = other.Find(key);
      if (match == nullptr || !(*match == value)) keys.insert(key);
    }
  };
  add_differing(a.metadata(), b.metadata());
  add_differing(b.metadata(), a.metadata());
  return {keys.begin(), keys.end()};
}

}  // namespace

ModelDifference Compare(const Model& a, const Model& b) {
  ModelDifference difference;
  int64_t total = 0;
  for (const TensorEntry& entry : a.tensors()) total += entry.bytes;
  Progress progress("comparing", total);
  for (const TensorEntry& entry : a.tensors()) {
    const TensorEntry* other = b.Find(entry.name);
    TensorDifference found{entry.name, &entry, other, std::nullopt};
    if (other == nullptr) {
      difference.tensors.push_back(std::move(found));
    } else if (const auto [x, y] = std::pair(entry.Fetched(), other->Fetched());
               SameBits(x, y)) {
      ++difference.same_tensors;
    } else {
      if (x.shape == y.shape && HasValues(x) && HasValues(y)) {
        found.values = CompareValues(x, y);
      }
      difference.tensors.push_back(std::move(found));
    }
    progress.Advance(entry.bytes);
  }
  for (const TensorEntry& entry : b.tensors()) {
    if (a.Find(entry.name) == nullptr) {
      difference.tensors.push_back({entry.name, nullptr, &entry, std::nullopt});
    }
  }
  difference.metadata = CompareMetadata(a, b);
  a.CheckIntact();
  b.CheckIntact();
  return difference;
}

}  // namespace tl
