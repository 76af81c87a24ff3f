#include "cli/glob.h"

#include <cstddef>

namespace tl {
namespace {

constexpr size_t kNotFound = std::string_view::npos;

// The length of the set at the beginning of `pattern`, brackets included, or 0.
// A `]` that comes first is a member.
size_t SetLength(std::string_view pattern) {
  size_t first = pattern.starts_with("[!") ? 2 : 1;
  const size_t end = pattern.find(']', first + 1);
  return end == kNotFound ? 0 : end + 1;
}

bool InSet(std::string_view set, char c) {
  set = set.substr(1, set.size() - 2);
  const bool negated = set.starts_with('!');
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (size_t i = 0; i < set.size(); ++i) {
    const bool range = i + 2 < set.size() && set[i + 1] == '-';
    found |= range ? set[i] <= c && c <= set[i + 2] : set[i] == c;
    if (range) i += 2;
  }
  return found != negated;
}

// How much of the pattern its first element, which is no `*`, takes if it is
// `c`; 0 if it is not.
size_t MatchOne(std::string_view pattern, char c) {
  if (pattern.front() == '?') return 1;
  if (pattern.front() == '[') {
    const size_t length = SetLength(pattern);
    if (length > 0) return InSet(pattern.substr(0, length), c) ? length : 0;
  }
  return pattern.front() == c ? 1 : 0;
}

}  // namespace

// On a mismatch only the last `*` need take one character more: an earlier one
// could gain nothing. So the time is at most the product of the two lengths.
bool MatchesGlob(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0;
  size_t after_star = kNotFound, star_took_to = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      if (p == pattern.size()) return true;
      star_took_to = n;
      continue;
    }
    const size_t length =
        p < pattern.size() ? MatchOne(pattern.substr(p), name[n]) : 0;
    if (length > 0) {
      p += length;
      ++n;
    } else if (after_star != kNotFound) {
      p = after_star;
      n = ++star_took_to;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == kNotFound;
}

}  // namespace tl
