#include <algorithm>
#include <limits>

#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/launch.h"
#include "cuda/strided_copy.h"

namespace tl::cuda {
namespace {

// Both views' axes, outermost first, as few as possible; in elements of what is
// moved at once.
struct Walk {
  struct Axis {
    int64_t size, to, from;
  };

  int rank = 0;
  int64_t size = 1;
  Axis axes[kMaxRank];

  Axis& last() { return axes[rank - 1]; }
};

Walk MakeWalk(const View& to, const View& from) {
  Walk walk;
  for (int i = 0; i < to.rank; ++i) {
    const Walk::Axis axis = {to.dims[i], to.strides[i], from.strides[i]};
    walk.size *= axis.size;
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

struct Places {
  int64_t to = 0, from = 0;
};

// Of element i of the first `rank` axes.
template <class Index>
TL_DEVICE Places PlacesOf(const Walk& walk, int rank, Index i) {
  Places places;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const auto size = static_cast<Index>(walk.axes[axis].size);
    const Index rest = axis > 0 ? i / size : 0;
    const auto at = static_cast<int64_t>(i - rest * size);
    places.to += at * walk.axes[axis].to;
    places.from += at * walk.axes[axis].from;
    i = rest;
  }
  return places;
}

// Index: 32 bits where they are enough, since division takes most of the time.
template <class T, class Index>
__global__ void CopyElements(T* to, const T* from,
                             const __grid_constant__ Walk walk) {
  for (int64_t i = GridThread(); i < walk.size; i += GridThreads()) {
    const Places places = PlacesOf(walk, walk.rank, static_cast<Index>(i));
    to[places.to] = from[places.from];
  }
}

constexpr int kTile = 32;
constexpr int kTileRows = 8;

// The axes along which one of both views has neighbours.
struct Turn {
  Walk::Axis columns;  // of the result
  Walk::Axis rows;     // neighbours in what is read
};

// Tiles of 32 by 32 by way of shared memory, so that both sides are read and
// written in line. `outer`: the other axes.
template <class T>
__global__ void CopyTiles(T* to, const T* from,
                          const __grid_constant__ Walk outer, Turn turn) {
  __shared__ T tile[kTile][kTile + 1];
  const int64_t across = (turn.columns.size + kTile - 1) / kTile;
  const int64_t down = (turn.rows.size + kTile - 1) / kTile;
  int64_t block = blockIdx.x;
  const int64_t column = block % across * kTile;
  block /= across;
  const int64_t row = block % down * kTile;
  const Places places = PlacesOf(outer, outer.rank, block / down);
  const int x = static_cast<int>(threadIdx.x);
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kTileRows) {
    if (row + x < turn.rows.size && column + y < turn.columns.size) {
      tile[y][x] =
          from[places.from + row + x + (column + y) * turn.columns.from];
    }
  }
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.y); y < kTile; y += kTileRows) {
    if (row + y < turn.rows.size && column + x < turn.columns.size) {
      to[places.to + column + x + (row + y) * turn.rows.to] = tile[x][y];
    }
  }
}

// The axis of `walk` that can be turned with its last one, or -1.
int TurnedAxis(const Walk& walk) {
  constexpr int64_t kWorthATile = 16;
  const Walk::Axis& last = walk.axes[walk.rank - 1];
  if (last.to != 1 || last.from == 0 || last.size < kWorthATile) return -1;
  for (int axis = walk.rank - 2; axis >= 0; --axis) {
    if (walk.axes[axis].from == 1 && walk.axes[axis].size >= kWorthATile) {
      return axis;
    }
  }
  return -1;
}

template <class T>
bool RunTiles(std::byte* to, const std::byte* from, const Walk& walk) {
  const int axis = TurnedAxis(walk);
  if (axis < 0) return false;
  const Turn turn = {walk.axes[walk.rank - 1], walk.axes[axis]};
  Walk outer;
  for (int i = 0; i < walk.rank - 1; ++i) {
    if (i == axis) continue;
    outer.axes[outer.rank++] = walk.axes[i];
    outer.size *= walk.axes[i].size;
  }
  const int64_t tiles = CeilDiv(turn.columns.size, kTile) *
                        CeilDiv(turn.rows.size, kTile) * outer.size;
  if (tiles > std::numeric_limits<int32_t>::max()) return false;
  Launch(CopyTiles<T>,
         {dim3{static_cast<unsigned>(tiles)}, dim3{kTile, kTileRows}},
         reinterpret_cast<T*>(to), reinterpret_cast<const T*>(from), outer,
         turn);
  return true;
}

template <class T>
void RunElements(std::byte* to, const std::byte* from, const Walk& walk) {
  const auto* source = reinterpret_cast<const T*>(from);
  auto* target = reinterpret_cast<T*>(to);
  if (walk.size <= std::numeric_limits<int32_t>::max()) {
    Launch(CopyElements<T, uint32_t>, ShapeFor(walk.size), target, source,
           walk);
  } else {
    Launch(CopyElements<T, int64_t>, ShapeFor(walk.size), target, source, walk);
  }
}

// How many elements of `bytes` can be moved as one, up to 16 bytes: runs of
// neighbours that begin at multiples of that.
int64_t ElementsAtOnce(const View& to, const View& from, const Walk& walk,
                       int64_t bytes) {
  const Walk::Axis& last = walk.axes[walk.rank - 1];
  int64_t count = 16 / bytes;
  const auto fits = [&](int64_t n) {
    if (last.size % n != 0) return false;
    if (!IsAligned(to.data, n * bytes) || !IsAligned(from.data, n * bytes)) {
      return false;
    }
    for (int i = 0; i < walk.rank - 1; ++i) {
      if (walk.axes[i].to % n != 0 || walk.axes[i].from % n != 0) return false;
    }
    return true;
  };
  if (last.to != 1 || last.from != 1) return 1;
  while (count > 1 && !fits(count)) count /= 2;
  return count;
}

void InUnitsOf(int64_t count, Walk& walk) {
  walk.size /= count;
  walk.last().size /= count;
  for (int i = 0; i < walk.rank - 1; ++i) {
    walk.axes[i].to /= count;
    walk.axes[i].from /= count;
  }
}

}  // namespace

void CopyStrided(const View& to, const View& from) {
  Walk walk = MakeWalk(to, from);
  if (walk.size == 0) return;
  const int64_t bytes = ElementBytes(to.dtype);
  TL_CHECK(bytes == 2 || bytes == 4);
  if (walk.rank == 1 && walk.last().to == 1 && walk.last().from == 1) {
    return CopyOnDevice(to.data, from.data, walk.size * bytes);
  }
  const bool done = bytes == 2 ? RunTiles<uint16_t>(to.data, from.data, walk)
                               : RunTiles<uint32_t>(to.data, from.data, walk);
  if (done) return;
  const int64_t at_once = ElementsAtOnce(to, from, walk, bytes);
  InUnitsOf(at_once, walk);
  switch (at_once * bytes) {
    case 2:
      return RunElements<uint16_t>(to.data, from.data, walk);
    case 4:
      return RunElements<uint32_t>(to.data, from.data, walk);
    case 8:
      return RunElements<uint2>(to.data, from.data, walk);
    default:
      return RunElements<uint4>(to.data, from.data, walk);
  }
}

void CopyStrided(const View& x, std::byte* to) {
  View dense = x;
  dense.data = to;
  int64_t stride = 1;
  for (int axis = x.rank - 1; axis >= 0; --axis) {
    dense.strides[axis] = stride;
    stride *= x.dims[axis];
  }
  CopyStrided(dense, x);
}

}  // namespace tl::cuda
