#include "cpu/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"

namespace tl::cpu {
namespace {

// Elements a task moves: about 64 KiB, some microseconds of work.
constexpr int64_t kGrain = 32 * 1024;
// A tile's sides: two cache lines of two-byte elements, which come in pairs.
constexpr int64_t kTile = 64;
// Below this many elements a loop beats the call of memcpy.
constexpr int64_t kShortRun = 16;

struct Axis {
  int64_t size;
  int64_t to;  // strides
  int64_t from;
};

// Both views' axes, outermost first, as few as possible. Never empty.
struct Walk {
  int rank = 0;
  Axis axes[kMaxRank];

  Axis& last() { return axes[rank - 1]; }
};

Walk MakeWalk(const View& to, const View& from) {
  Walk walk;
  for (int i = 0; i < to.rank; ++i) {
    const Axis axis{to.dims[i], to.strides[i], from.strides[i]};
    if (axis.size == 1) continue;
    if (walk.rank > 0 && walk.last().to == axis.size * axis.to &&
        walk.last().from == axis.size * axis.from) {
      walk.last() = {walk.last().size * axis.size, axis.to, axis.from};
    } else {
      walk.axes[walk.rank++] = axis;
    }
  }
  if (walk.rank == 0) walk.axes[walk.rank++] = {1, 1, 1};
  return walk;
}

// Where the outer axes of a walk stand, as element offsets.
class Position {
 public:
  // Steps through all axes but the last `inner`, from the index-th step on.
  Position(const Walk& walk, int inner, int64_t index)
      : walk_(walk), rank_(walk.rank - inner) {
    for (int i = rank_ - 1; i >= 0; --i) {
      const Axis& axis = walk.axes[i];
      at_[i] = index % axis.size;
      index /= axis.size;
      to_ += at_[i] * axis.to;
      from_ += at_[i] * axis.from;
    }
  }

  int64_t to() const { return to_; }
  int64_t from() const { return from_; }

  void Next() {
    for (int i = rank_ - 1; i >= 0; --i) {
      const Axis& axis = walk_.axes[i];
      to_ += axis.to;
      from_ += axis.from;
      if (++at_[i] < axis.size) return;
      at_[i] = 0;
      to_ -= axis.size * axis.to;
      from_ -= axis.size * axis.from;
    }
  }

 private:
  const Walk& walk_;
  int rank_;
  int64_t at_[kMaxRank];
  int64_t to_ = 0;
  int64_t from_ = 0;
};

template <class T>
void CopyRun(T* to, int64_t to_stride, const T* from, int64_t from_stride,
             int64_t count) {
  if (to_stride == 1 && from_stride == 1) {
    if (count >= kShortRun) {
      std::memcpy(to, from, count * sizeof(T));
    } else {
      for (int64_t i = 0; i < count; ++i) to[i] = from[i];
    }
  } else if (to_stride == 1 && from_stride == 0) {
    std::fill_n(to, count, *from);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      to[i * to_stride] = from[i * from_stride];
    }
  }
}

// Tasks are ranges of elements, so that one long run is split as well as many
// short ones are joined.
template <class T>
void CopyRuns(T* to, const T* from, const Walk& walk, int64_t size) {
  const Axis run = walk.axes[walk.rank - 1];
  ParallelFor(size, kGrain, [&](int64_t begin, int64_t end) {
    Position position(walk, 1, begin / run.size);
    int64_t skip = begin % run.size;
    while (begin < end) {
      const int64_t count = std::min(run.size - skip, end - begin);
      CopyRun(to + position.to() + skip * run.to, run.to,
              from + position.from() + skip * run.from, run.from, count);
      begin += count;
      skip = 0;
      position.Next();
    }
  });
}

// A tile from a view contiguous down its columns to one contiguous along its
// rows, by way of a tile on the stack: so each line of either side is touched
// once, even where a power of two between them maps all to one cache set.
template <class T>
void CopyTile(T* to, const T* from, const Axis& rows, const Axis& columns,
              int64_t height, int64_t width) {
  T tile[kTile][kTile];
  for (int64_t column = 0; column < width; ++column) {
    const T* source = from + column * columns.from;
    for (int64_t row = 0; row < height; ++row) tile[row][column] = source[row];
  }
  for (int64_t row = 0; row < height; ++row) {
    CopyRun(to + row * rows.to, columns.to, tile[row], 1, width);
  }
}

// Reads along the last axis but one, writes along the last.
template <class T>
void CopyTransposed(T* to, const T* from, const Walk& walk, int64_t size) {
  const Axis rows = walk.axes[walk.rank - 2];
  const Axis columns = walk.axes[walk.rank - 1];
  const int64_t strips = (rows.size + kTile - 1) / kTile;
  const int64_t outer = size / (rows.size * columns.size);
  const int64_t grain = std::max<int64_t>(1, kGrain / (kTile * columns.size));
  ParallelFor(outer * strips, grain, [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) {
      const Position position(walk, 2, strip / strips);
      const int64_t row = strip % strips * kTile;
      const int64_t height = std::min(kTile, rows.size - row);
      T* strip_to = to + position.to() + row * rows.to;
      const T* strip_from = from + position.from() + row;
      for (int64_t column = 0; column < columns.size; column += kTile) {
        CopyTile(strip_to + column * columns.to,
                 strip_from + column * columns.from, rows, columns, height,
                 std::min(kTile, columns.size - column));
      }
    }
  });
}

// The axis along which `from` is contiguous while the last one is not, or -1.
int TransposedAxis(const Walk& walk) {
  const Axis& last = walk.axes[walk.rank - 1];
  if (last.from == 0 || last.from == 1) return -1;
  for (int i = 0; i < walk.rank - 1; ++i) {
    if (walk.axes[i].from == 1 && walk.axes[i].size > 1) return i;
  }
  return -1;
}

template <class T>
void Copy(const View& to, const View& from) {
  Walk walk = MakeWalk(to, from);
  const int transposed = TransposedAxis(walk);
  if (transposed < 0) {
    CopyRuns(to.as<T>(), from.as<T>(), walk, to.size());
    return;
  }
  std::rotate(walk.axes + transposed, walk.axes + transposed + 1,
              walk.axes + walk.rank - 1);
  CopyTransposed(to.as<T>(), from.as<T>(), walk, to.size());
}

}  // namespace

void CopyStrided(const View& to, const View& from) {
  TL_CHECK(to.dtype == from.dtype && to.rank == from.rank &&
           std::equal(to.dims, to.dims + to.rank, from.dims));
  if (to.size() == 0) return;
  if (ElementBytes(to.dtype) == 2) return Copy<uint16_t>(to, from);
  TL_CHECK(ElementBytes(to.dtype) == 4);
  Copy<uint32_t>(to, from);
}

View SliceOf(View view, int axis, int64_t start, int64_t count, int64_t step) {
  view.data += start * view.strides[axis] * ElementBytes(view.dtype);
  view.dims[axis] = count;
  view.strides[axis] *= step;
  return view;
}

}  // namespace tl::cpu
