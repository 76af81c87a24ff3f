// IndexSelect, Gather and Scatter: elements chosen by an index tensor. An index
// counts from the end when it is negative, as Python's does; all of them are
// checked before a byte is written.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "cpu/decode_runs.h"
#include "cpu/kernels.h"
#include "cpu/strided_copy.h"
#include "cpu/unpack.h"

namespace tl::cpu {
namespace {

// Elements a task moves: some microseconds of work.
constexpr int64_t kGrain = 16 * 1024;

int64_t Product(const int64_t* begin, const int64_t* end) {
  int64_t product = 1;
  for (; begin != end; ++begin) product *= *begin;
  return product;
}

bool OutOfRange(int32_t index, int64_t size) {
  return index < -size || index >= size;
}

int64_t FromStart(int32_t index, int64_t size) {
  return index < 0 ? index + size : index;
}

// Fails with the first index that has no place on an axis of `size`.
void CheckIndices(const View& index, int axis, int64_t size) {
  const int32_t* indices = index.as<int32_t>();
  std::atomic<bool> any_bad = false;
  ParallelFor(index.size(), 4 * kGrain, [&](int64_t begin, int64_t end) {
    int bad = 0;  // no early exit: this loop is a vector loop
    for (int64_t i = begin; i < end; ++i) bad |= OutOfRange(indices[i], size);
    if (bad) any_bad = true;
  });
  if (!any_bad) return;
  const int32_t* first =
      std::find_if(indices, indices + index.size(),
                   [size](int32_t index) { return OutOfRange(index, size); });
  Fail(ErrorKind::kProgram, "index {} is out of range for axis {} of size {}",
       *first, axis, size);
}

// to[o, i] = from[o, indices[i]], whole rows of `inner` elements at a time.
template <class T>
void SelectRows(T* to, const T* from, const View& index, int64_t outer,
                int64_t size, int64_t inner) {
  const int32_t* indices = index.as<int32_t>();
  const int64_t count = index.size();
  const int64_t grain = std::max<int64_t>(1, kGrain / inner);
  ParallelFor(outer * count, grain, [&](int64_t begin, int64_t end) {
    int64_t slice = begin / count;
    int64_t i = begin % count;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t chosen = slice * size + FromStart(indices[i], size);
      if (inner == 1) {
        to[row] = from[chosen];
      } else {
        std::memcpy(to + row * inner, from + chosen * inner, inner * sizeof(T));
      }
      if (++i == count) {
        i = 0;
        ++slice;
      }
    }
  });
}

// A place, or a step from one to the next, in the three tensors of a loop: the
// index, the one it lies over (the result, the source), and the one it points
// into. Along the indexed axis a step in `table` is a step of the index.
struct Offsets {
  int64_t index = 0;
  int64_t part = 0;
  int64_t table = 0;

  void Add(int64_t steps, const Offsets& step) {
    index += steps * step.index;
    part += steps * step.part;
    table += steps * step.table;
  }
};

struct Axis {
  int64_t size = 1;
  Offsets step;
};

// The loops that torch.gather and torch.scatter share: move(part element, table
// element) for every position of `index`. A lane is the positions that differ
// only along the indexed axis; it is walked in order by one thread, so of two
// writes to one place the later wins.
class IndexLoops {
 public:
  IndexLoops(const View& index, const View& part, const View& table, int axis)
      : index_(index), part_(part), table_(table), axis_(axis) {
    for (int i = 0; i < index.rank; ++i) {
      TL_CHECK(index.dims[i] <= part.dims[i]);
      TL_CHECK(i == axis || index.dims[i] <= table.dims[i]);
    }
  }

  template <class T, class Move>
  void Run(Move move) const {
    if (index_.size() == 0) return;
    const Axis along = AxisAt(axis_);
    const Axis row = row_axis() < 0 ? Axis{} : AxisAt(row_axis());
    const int64_t lanes = index_.size() / along.size;
    const int64_t grain = std::max<int64_t>(1, kGrain / along.size);
    ParallelFor(lanes, grain, [&](int64_t begin, int64_t end) {
      while (begin < end) {
        const int64_t skip = begin % row.size;
        const int64_t count = std::min(row.size - skip, end - begin);
        Offsets start = StartOfRow(begin / row.size);
        start.Add(skip, row.step);
        RunRow<T>(start, count, row.step, along, move);
        begin += count;
      }
    });
  }

 private:
  // The innermost axis across lanes; -1 where there is one lane.
  int row_axis() const {
    const int last = index_.rank - 1;
    return axis_ == last ? last - 1 : last;
  }

  Axis AxisAt(int axis) const {
    return {index_.dims[axis],
            {index_.strides[axis], part_.strides[axis], table_.strides[axis]}};
  }

  Offsets StartOfRow(int64_t row) const {
    Offsets start;
    for (int i = row_axis() - 1; i >= 0; --i) {
      if (i == axis_) continue;
      const Axis axis = AxisAt(i);
      start.Add(row % axis.size, axis.step);
      row /= axis.size;
    }
    return start;
  }

  // `count` lanes from `start` on.
  template <class T, class Move>
  void RunRow(const Offsets& start, int64_t count, const Offsets& next_lane,
              const Axis& along, Move move) const {
    const int32_t* index = index_.as<int32_t>() + start.index;
    T* part = part_.as<T>() + start.part;
    T* table = table_.as<T>() + start.table;
    const int64_t size = table_.dims[axis_];
    const auto step = [&](int64_t lane, int64_t i) {
      const int64_t chosen =
          FromStart(index[lane * next_lane.index + i * along.step.index], size);
      move(part[lane * next_lane.part + i * along.step.part],
           table[lane * next_lane.table + chosen * along.step.table]);
    };
    // The inner loop is the one that reads the index in order.
    if (axis_ == index_.rank - 1) {
      for (int64_t lane = 0; lane < count; ++lane) {
        for (int64_t i = 0; i < along.size; ++i) step(lane, i);
      }
    } else {
      for (int64_t i = 0; i < along.size; ++i) {
        for (int64_t lane = 0; lane < count; ++lane) step(lane, i);
      }
    }
  }

  const View& index_;
  const View& part_;
  const View& table_;
  int axis_;
};

// Calls f with a zero of the integer type that has the size of an element:
// moving elements needs no more of their type.
template <class F>
void WithBits(DType dtype, F f) {
  if (ElementBytes(dtype) == 2) return f(uint16_t{});
  TL_CHECK(ElementBytes(dtype) == 4);
  f(uint32_t{});
}

// Decodes the chosen rows of a packed matrix, and no others.
void SelectPackedRows(const View& table, const View& index,
                      const View& result) {
  const PackedReader reader = PackedReaderOf(table.dtype);
  const RunDecoder convert = GetRunDecoders().find(DType::F32, result.dtype);
  const int64_t rows = table.dims[0], columns = table.dims[1];
  const int32_t* indices = index.as<int32_t>();
  const int64_t grain = std::max<int64_t>(1, kGrain / columns);
  ParallelFor(index.size(), grain, [&](int64_t begin, int64_t end) {
    alignas(64) float values[kUnpackRun];
    DecodeCounts uncounted;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = FromStart(indices[i], rows);
      for (int64_t at = 0; at < columns; at += kUnpackRun) {
        const int64_t count = std::min(kUnpackRun, columns - at);
        reader.Decode(table.data + reader.BytesOf(row * columns + at), count,
                      values);
        convert(reinterpret_cast<const std::byte*>(values),
                result.data +
                    (i * columns + at) * ElementBytes(result.dtype),
                count, uncounted);
      }
    }
  });
}

}  // namespace

void IndexSelect(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& index = args.inputs[1];
  const View& result = args.outputs[0];
  const auto axis = static_cast<int>(args.ints[0]);
  CheckIndices(index, axis, x.dims[axis]);
  if (result.size() == 0) return;
  if (IsPacked(x.dtype)) return SelectPackedRows(x, index, result);
  if (x.dtype == DType::F16 && result.dtype == DType::F32) {
    // The result is a number, and a float number is f32.
    TL_CHECK(result.size() == 1 && x.rank == 1);
    const int64_t chosen = FromStart(*index.as<int32_t>(), x.dims[0]);
    *result.as<float>() = HalfToFloat(x.as<uint16_t>()[chosen]);
    return;
  }
  TL_CHECK(x.dtype == result.dtype);
  const int64_t outer = Product(x.dims, x.dims + axis);
  const int64_t inner = Product(x.dims + axis + 1, x.dims + x.rank);
  WithBits(x.dtype, [&]<class T>(T) {
    SelectRows(result.as<T>(), x.as<T>(), index, outer, x.dims[axis], inner);
  });
}

void Gather(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& index = args.inputs[1];
  const auto axis = static_cast<int>(args.ints[0]);
  if (x.rank == 1) return IndexSelect(args);  // which splits a single lane
  CheckIndices(index, axis, x.dims[axis]);
  const IndexLoops loops(index, args.outputs[0], x, axis);
  WithBits(x.dtype, [&]<class T>(T) {
    loops.Run<T>([](T& result, const T& chosen) { result = chosen; });
  });
}

void Scatter(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& index = args.inputs[1];
  const View& source = args.inputs[2];
  const View& result = args.outputs[0];
  const auto axis = static_cast<int>(args.ints[0]);
  TL_CHECK(x.dtype == result.dtype && source.dtype == result.dtype);
  CheckIndices(index, axis, x.dims[axis]);
  if (x.data != result.data) CopyStrided(result, x);
  const IndexLoops loops(index, source, result, axis);
  WithBits(x.dtype, [&]<class T>(T) {
    loops.Run<T>([](const T& written, T& place) { place = written; });
  });
}

}  // namespace tl::cpu
