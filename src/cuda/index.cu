// IndexSelect, Gather and Scatter: elements chosen by an index tensor. An index
// counts from the end when it is negative. All of them are looked at before a
// byte is written: what follows in the stream does nothing where one has no
// place (fault.h).
#include <limits>

#include "cuda/dispatch.h"
#include "cuda/elements.cuh"
#include "cuda/fault.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/packed_decode.cuh"
#include "cuda/strided_copy.h"

namespace tl::cuda {
namespace {

__global__ void LookAtIndices(const int32_t* indices, int64_t count,
                              int64_t size, Fault* fault) {
  for (int64_t i = GridThread(); i < count; i += GridThreads()) {
    PlaceOf(indices[i], size, i, fault);
  }
}

// The record of an index that has no place on axis `axis` of x; null where the
// executor has looked at all of them.
const Fault* CheckIndices(const KernelArgs& args, int axis, int64_t size) {
  if (args.indices_checked) return nullptr;
  const View& index = args.inputs[1];
  Fault* fault = FaultFor(axis, size);
  if (index.size() > 0) {
    Launch(LookAtIndices, ShapeFor(index.size()), index.as<const int32_t>(),
           index.size(), size, fault);
  }
  return fault;
}

TL_DEVICE bool IsFaulty(const Fault* fault) {
  return fault != nullptr && fault->first != kNoFault;
}

TL_DEVICE int64_t FromStart(int32_t index, int64_t size) {
  return index < 0 ? index + size : index;
}

// --- Whole slices
// -------------------------------------------------------------

struct SelectShape {
  int64_t outer, size, count;  // `count` indices of an axis of `size`
  int64_t inner;               // units of a slice
};

// to[o, i] = from[o, indices[i]]. Index: 32 bits where they are enough.
template <class Unit, class Index>
__global__ void SelectKernel(const Unit* from, const int32_t* indices, Unit* to,
                             SelectShape shape, const Fault* fault) {
  if (IsFaulty(fault)) return;
  const int64_t size = shape.outer * shape.count * shape.inner;
  const auto inner = static_cast<Index>(shape.inner);
  const auto count = static_cast<Index>(shape.count);
  for (int64_t at = GridThread(); at < size; at += GridThreads()) {
    const auto row = static_cast<Index>(at) / inner;
    const auto unit = static_cast<Index>(at) - row * inner;
    const Index outer = row / count;
    const int64_t chosen = FromStart(indices[row - outer * count], shape.size);
    to[at] = from[(int64_t{outer} * shape.size + chosen) * shape.inner + unit];
  }
}

template <class Unit>
void SelectUnits(const View& x, const View& index, const View& result,
                 const SelectShape& shape, const Fault* fault) {
  const int64_t size = shape.outer * shape.count * shape.inner;
  const auto kernel = size <= std::numeric_limits<int32_t>::max()
                          ? SelectKernel<Unit, uint32_t>
                          : SelectKernel<Unit, int64_t>;
  Launch(kernel, ShapeFor(size), x.as<const Unit>(), index.as<const int32_t>(),
         result.as<Unit>(), shape, fault);
}

// As many bytes at once as a slice's size and place allow.
void SelectSlices(const View& x, const View& index, const View& result,
                  SelectShape shape, const Fault* fault) {
  const int64_t bytes = shape.inner * ElementBytes(x.dtype);
  const auto fits = [&](int64_t unit) {
    return bytes % unit == 0 && IsAligned(x.data, unit) &&
           IsAligned(result.data, unit);
  };
  if (fits(16)) {
    shape.inner = bytes / 16;
    SelectUnits<uint4>(x, index, result, shape, fault);
  } else if (fits(4)) {
    shape.inner = bytes / 4;
    SelectUnits<uint32_t>(x, index, result, shape, fault);
  } else {
    shape.inner = bytes / 2;
    SelectUnits<uint16_t>(x, index, result, shape, fault);
  }
}

// A thread decodes eight elements of a chosen row, and no other row is read.
template <class Type, class To>
__global__ void SelectPackedRows(const uint8_t* from, const int32_t* indices,
                                 To* to, SelectShape shape,
                                 const Fault* fault) {
  if (IsFaulty(fault)) return;
  constexpr int kCount = 8;
  const int64_t columns = shape.inner;
  const int64_t row_bytes = columns / Type::kBlock * Type::kBytes;
  const int64_t size = shape.count * columns;
  for (int64_t at = GridThread() * kCount; at < size;
       at += GridThreads() * kCount) {
    const int64_t row = at / columns, column = at % columns;
    const uint8_t* block = from +
                           FromStart(indices[row], shape.size) * row_bytes +
                           column / Type::kBlock * Type::kBytes;
    float values[kCount];
    DecodeEight<Type>(block, static_cast<int>(column % Type::kBlock), values);
#pragma unroll
    for (int i = 0; i < kCount; ++i) FromFloat(values[i], to[at + i]);
  }
}

void SelectPacked(const View& x, const View& index, const View& result,
                  const SelectShape& shape, const Fault* fault) {
  WithPacked(x.dtype, [&]<class Type>(Type) {
    WithFloats(result.dtype, [&]<class To>(To) {
      Launch(SelectPackedRows<Type, To>, ShapeFor(CeilDiv(result.size(), 8)),
             x.as<const uint8_t>(), index.as<const int32_t>(), result.as<To>(),
             shape, fault);
    });
  });
}

// The result is a number, and a float number is f32.
__global__ void SelectNumber(const uint16_t* from, const int32_t* index,
                             float* to, int64_t size, const Fault* fault) {
  if (!IsFaulty(fault)) *to = FromHalf(from[FromStart(*index, size)]);
}

// --- Element by element
// -------------------------------------------------------

// The axes of an index, and the steps in the index, in the tensor it lies over
// (the result, the source) and in the one it points into.
struct IndexWalk {
  struct Axis {
    int64_t size, index, part, table;
  };

  int rank;
  int axis;  // the one that the index is of
  int64_t size;
  int64_t table_size;  // of that axis
  Axis axes[kMaxRank];
};

IndexWalk WalkOf(const View& index, const View& part, const View& table,
                 int axis) {
  IndexWalk walk = {index.rank, axis, index.size(), table.dims[axis], {}};
  for (int i = 0; i < index.rank; ++i) {
    TL_CHECK(index.dims[i] <= part.dims[i]);
    TL_CHECK(i == axis || index.dims[i] <= table.dims[i]);
    walk.axes[i] = {index.dims[i], index.strides[i], part.strides[i],
                    table.strides[i]};
  }
  return walk;
}

// Where element i of an index points from and to.
struct IndexPlaces {
  int64_t part, table;
  int64_t along;  // place on the axis of the index
};
TL_DEVICE IndexPlaces PlacesOf(const IndexWalk& walk, const int32_t* indices,
                               int64_t i) {
  IndexPlaces places = {0, 0, 0};
  int64_t at_index = 0;
  for (int k = walk.rank - 1; k >= 0; --k) {
    const IndexWalk::Axis& axis = walk.axes[k];
    const int64_t at = i % axis.size;
    i /= axis.size;
    at_index += at * axis.index;
    places.part += at * axis.part;
    if (k == walk.axis) {
      places.along = at;
    } else {
      places.table += at * axis.table;
    }
  }
  places.table += FromStart(indices[at_index], walk.table_size) *
                  walk.axes[walk.axis].table;
  return places;
}

template <class T>
__global__ void GatherKernel(const T* x, const int32_t* indices, T* to,
                             const __grid_constant__ IndexWalk walk,
                             const Fault* fault) {
  if (IsFaulty(fault)) return;
  for (int64_t i = GridThread(); i < walk.size; i += GridThreads()) {
    const IndexPlaces places = PlacesOf(walk, indices, i);
    to[places.part] = x[places.table];
  }
}

// Of several writes to one place the last one along the axis wins: first each
// place learns which that is, counted from 1, then that one is made.
__global__ void FindLastWrites(const int32_t* indices, unsigned* last,
                               const __grid_constant__ IndexWalk walk,
                               const Fault* fault) {
  if (IsFaulty(fault)) return;
  for (int64_t i = GridThread(); i < walk.size; i += GridThreads()) {
    const IndexPlaces places = PlacesOf(walk, indices, i);
    atomicMax(last + places.table, static_cast<unsigned>(places.along + 1));
  }
}
template <class T>
__global__ void MakeLastWrites(const T* source, const int32_t* indices,
                               const unsigned* last, T* to,
                               const __grid_constant__ IndexWalk walk,
                               const Fault* fault) {
  if (IsFaulty(fault)) return;
  for (int64_t i = GridThread(); i < walk.size; i += GridThreads()) {
    const IndexPlaces places = PlacesOf(walk, indices, i);
    if (last[places.table] == static_cast<unsigned>(places.along + 1)) {
      to[places.table] = source[places.part];
    }
  }
}

// Where there is one index along the axis no two writes meet.
template <class T>
__global__ void ScatterKernel(const T* source, const int32_t* indices, T* to,
                              const __grid_constant__ IndexWalk walk,
                              const Fault* fault) {
  if (IsFaulty(fault)) return;
  for (int64_t i = GridThread(); i < walk.size; i += GridThreads()) {
    const IndexPlaces places = PlacesOf(walk, indices, i);
    to[places.table] = source[places.part];
  }
}

// Calls f with a zero of the integer type that has the size of an element:
// moving elements needs no more of their type.
template <class F>
void WithBits(DType dtype, F f) {
  if (ElementBytes(dtype) == 2) return f(uint16_t{});
  TL_CHECK(ElementBytes(dtype) == 4);
  f(uint32_t{});
}

template <class T>
void RunScatter(const View& source, const View& index, const View& result,
                const IndexWalk& walk, const Fault* fault) {
  const LaunchShape shape = ShapeFor(walk.size);
  const auto* from = source.as<const T>();
  const auto* indices = index.as<const int32_t>();
  const int64_t along = index.dims[walk.axis];
  if (along == 1) {
    return Launch(ScatterKernel<T>, shape, from, indices, result.as<T>(), walk,
                  fault);
  }
  TL_CHECK(along < std::numeric_limits<int32_t>::max());
  const int64_t bytes = result.size() * int64_t{sizeof(unsigned)};
  const auto memory = Allocate(bytes);
  Fill(memory.get(), 0, bytes);
  auto* last = reinterpret_cast<unsigned*>(memory.get());
  Launch(FindLastWrites, shape, indices, last, walk, fault);
  Launch(MakeLastWrites<T>, shape, from, indices, last, result.as<T>(), walk,
         fault);
}

}  // namespace

void IndexSelect(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& index = args.inputs[1];
  const View& result = args.outputs[0];
  const auto axis = static_cast<int>(args.ints[0]);
  SelectShape shape = {1, x.dims[axis], index.size(), 1};
  for (int i = 0; i < axis; ++i) shape.outer *= x.dims[i];
  for (int i = axis + 1; i < x.rank; ++i) shape.inner *= x.dims[i];
  const Fault* fault = CheckIndices(args, axis, x.dims[axis]);
  if (result.size() == 0) return;
  if (IsPacked(x.dtype)) return SelectPacked(x, index, result, shape, fault);
  if (x.dtype == DType::F16 && result.dtype == DType::F32) {
    TL_CHECK(result.size() == 1 && x.rank == 1);
    return Launch(SelectNumber, {{1}, {1}}, x.as<const uint16_t>(),
                  index.as<const int32_t>(), result.as<float>(), x.dims[0],
                  fault);
  }
  TL_CHECK(x.dtype == result.dtype);
  SelectSlices(x, index, result, shape, fault);
}

void Gather(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& index = args.inputs[1];
  const View& result = args.outputs[0];
  const auto axis = static_cast<int>(args.ints[0]);
  const Fault* fault = CheckIndices(args, axis, x.dims[axis]);
  if (index.size() == 0) return;
  const IndexWalk walk = WalkOf(index, result, x, axis);
  WithBits(x.dtype, [&]<class T>(T) {
    Launch(GatherKernel<T>, ShapeFor(walk.size), x.as<const T>(),
           index.as<const int32_t>(), result.as<T>(), walk, fault);
  });
}

void Scatter(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& index = args.inputs[1];
  const View& source = args.inputs[2];
  const View& result = args.outputs[0];
  const auto axis = static_cast<int>(args.ints[0]);
  TL_CHECK(x.dtype == result.dtype && source.dtype == result.dtype);
  const Fault* fault = CheckIndices(args, axis, x.dims[axis]);
  if (x.data != result.data) CopyStrided(result, x);
  if (index.size() == 0) return;
  const IndexWalk walk = WalkOf(index, source, result, axis);
  WithBits(x.dtype, [&]<class T>(T) {
    RunScatter<T>(source, index, result, walk, fault);
  });
}

}  // namespace tl::cuda
