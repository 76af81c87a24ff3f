// Which bytes of the device's memory something has happened to. Ranges that touch
// are one, so that memory which is used over and over again costs nothing more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tl::cuda {

class AddressSet {
 public:
  // [begin, end), not empty.
  void Insert(const std::byte* begin, const std::byte* end) {
    const size_t first = FirstThatReaches(begin);
    size_t last = first;
    for (; last < ranges_.size() && ranges_[last].begin <= end; ++last) {
      begin = std::min(begin, ranges_[last].begin);
      end = std::max(end, ranges_[last].end);
    }
    const auto at = ranges_.begin() + static_cast<std::ptrdiff_t>(first);
    if (first == last) {
      ranges_.insert(at, {begin, end});
    } else {
      *at = {begin, end};
      ranges_.erase(at + 1, ranges_.begin() + static_cast<std::ptrdiff_t>(last));
    }
  }

  bool Meets(const std::byte* begin, const std::byte* end) const {
    size_t found = FirstThatReaches(begin);
    if (found < ranges_.size() && ranges_[found].end == begin) ++found;
    return found < ranges_.size() && ranges_[found].begin < end;
  }

  // Whether [begin, end) is in it as a whole.
  bool Covers(const std::byte* begin, const std::byte* end) const {
    size_t found = FirstThatReaches(begin);
    if (found < ranges_.size() && ranges_[found].end == begin) ++found;
    return found < ranges_.size() && ranges_[found].begin <= begin &&
           end <= ranges_[found].end;
  }

  void Remove(const std::byte* begin, const std::byte* end) {
    size_t at = FirstThatReaches(begin);
    if (at < ranges_.size() && ranges_[at].end == begin) ++at;
    if (at == ranges_.size() || end <= ranges_[at].begin) return;
    const auto place = [&](size_t i) {
      return ranges_.begin() + static_cast<std::ptrdiff_t>(i);
    };
    if (ranges_[at].begin < begin) {
      const Range before = {ranges_[at].begin, begin};
      ranges_[at].begin = begin;
      ranges_.insert(place(at++), before);
    }
    size_t last = at;
    while (last < ranges_.size() && ranges_[last].end <= end) ++last;
    if (last < ranges_.size() && ranges_[last].begin < end) ranges_[last].begin = end;
    ranges_.erase(place(at), place(last));
  }

  void clear() { ranges_.clear(); }
  size_t size() const { return ranges_.size(); }

 private:
  struct Range {
    const std::byte *begin, *end;
  };

  size_t FirstThatReaches(const std::byte* address) const {
    const auto ends_before = [](const Range& range, const std::byte* at) {
      return range.end < at;
    };
    return static_cast<size_t>(std::lower_bound(ranges_.begin(), ranges_.end(),
                                                address, ends_before) -
                               ranges_.begin());
  }

  std::vector<Range> ranges_;  // in order, with gaps between them
};

}  // namespace tl::cuda
