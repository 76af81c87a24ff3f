#include "format/nearest.h"

#include <algorithm>
#include <numeric>

namespace tl {
namespace {

// Longer ones are no typing mistakes, and comparing takes quadratic time.
constexpr size_t kLongestName = 200;

// Letters to insert, delete or change to turn `a` into `b`; `limit` + 1 when
// more than `limit` are needed.
size_t EditDistance(std::string_view a, std::string_view b, size_t limit) {
  const size_t longer = std::max(a.size(), b.size());
  if (longer - std::min(a.size(), b.size()) > limit) return limit + 1;
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    size_t best = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
      best = std::min(best, row[j]);
    }
    if (best > limit) return limit + 1;
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string_view> NearestNames(
    std::string_view wanted, const std::vector<std::string_view>& names,
    size_t count) {
  struct Candidate {
    size_t distance;
    std::string_view name;
  };
  std::vector<Candidate> found;
  if (wanted.size() > kLongestName) return {};
  const size_t limit = wanted.size() / 3 + 1;
  for (std::string_view name : names) {
    if (name.size() > kLongestName) continue;
    const size_t distance = EditDistance(wanted, name, limit);
    if (distance <= limit) found.push_back({distance, name});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Candidate& a, const Candidate& b) {
                     return a.distance < b.distance;
                   });
  found.resize(std::min(count, found.size()));
  std::vector<std::string_view> result;
  for (const Candidate& candidate : found) result.push_back(candidate.name);
  return result;
}

}  // namespace tl
