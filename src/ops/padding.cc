#include "ops/padding.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "ops/build.h"

namespace tl {
namespace {

TensorRef PadConstant(Lowering& lo, const TensorRef& x,
                      std::span<const int64_t> before,
                      std::span<const int64_t> after, const TensorRef& fill) {
  Shape full = x->shape();
  for (int axis = 0; axis < x->rank(); ++axis) {
    full[axis] = full[axis] + Dim(before[axis] + after[axis]);
  }
  const std::vector<int64_t> steps(x->rank(), 1);
  const TensorRef filled = BroadcastTo(lo, Cast(lo, fill, x->dtype()), full);
  return Assign(lo, filled, before, steps, x->shape(), x);
}

// The elements of `axis` from `start` on, `step` 1 or -1.
TensorRef Part(Lowering& lo, const TensorRef& x, int axis, int64_t start,
               int64_t count, int64_t step) {
  return Slice(lo, x, axis, start, count, step);
}

TensorRef Repeated(Lowering& lo, const TensorRef& x, int axis, int64_t start,
                   int64_t count) {
  Shape shape = x->shape();
  shape[axis] = count;
  return BroadcastTo(lo, Slice(lo, x, axis, start, 1), shape);
}

// What comes before and after x along one axis.
struct Edges {
  TensorRef before, after;
};

Edges EdgesOf(Lowering& lo, const TensorRef& x, int axis, int64_t size,
              int64_t before, int64_t after, PadMode mode) {
  switch (mode) {
    case PadMode::kReflect:
      return {Part(lo, x, axis, before, before, -1),
              Part(lo, x, axis, size - 2, after, -1)};
    case PadMode::kReplicate:
      return {Repeated(lo, x, axis, 0, before),
              Repeated(lo, x, axis, size - 1, after)};
    case PadMode::kCircular:
      return {Part(lo, x, axis, size - before, before, 1),
              Part(lo, x, axis, 0, after, 1)};
    case PadMode::kConstant:
      break;
  }
  return {};
}

std::string_view NameOf(PadMode mode) {
  switch (mode) {
    case PadMode::kConstant:
      return "constant";
    case PadMode::kReflect:
      return "reflect";
    case PadMode::kReplicate:
      return "replicate";
    case PadMode::kCircular:
      return "circular";
  }
  return "";
}

TensorRef PadAxis(Lowering& lo, const TensorRef& x, int axis, int64_t before,
                  int64_t after, PadMode mode) {
  if (before == 0 && after == 0) return x;
  if (!x->shape()[axis].known()) throw NotKnown{};
  const int64_t size = x->shape().dim(axis);
  // A reflection leaves the edge out; a repeated edge needs one.
  const int64_t most = mode == PadMode::kReflect    ? size - 1
                       : mode == PadMode::kCircular ? size
                       : size > 0                   ? before + after
                                                    : 0;
  if (std::max(before, after) > most) {
    Fail(ErrorKind::kProgram,
         "pad: {} elements before and {} after axis {} of {}; mode \"{}\" has "
         "at most {}",
         before, after, axis, x->shape().ToString(), NameOf(mode),
         std::max<int64_t>(most, 0));
  }
  const Edges edges = EdgesOf(lo, x, axis, size, before, after, mode);
  std::vector<TensorRef> parts;
  if (before > 0) parts.push_back(edges.before);
  parts.push_back(x);
  if (after > 0) parts.push_back(edges.after);
  return Concat(lo, std::move(parts), axis);
}

}  // namespace

PadMode PadModeOf(std::string_view name) {
  for (PadMode mode : {PadMode::kConstant, PadMode::kReflect,
                       PadMode::kReplicate, PadMode::kCircular}) {
    if (NameOf(mode) == name) return mode;
  }
  Fail(ErrorKind::kProgram,
       "pad: 'mode' is \"{}\"; expected \"constant\", \"reflect\", "
       "\"replicate\" or \"circular\"",
       name);
}

TensorRef Pad(Lowering& lo, const TensorRef& x, std::span<const int64_t> before,
              std::span<const int64_t> after, PadMode mode,
              const TensorRef& fill) {
  const auto is_zero = [](int64_t n) { return n == 0; };
  if (std::all_of(before.begin(), before.end(), is_zero) &&
      std::all_of(after.begin(), after.end(), is_zero)) {
    return x;
  }
  const int64_t least = std::min(std::ranges::min(before),
                                 std::ranges::min(after));
  if (least < 0) {
    Fail(ErrorKind::kProgram, "pad: {} is negative; slice to make x smaller",
         least);
  }
  if (mode == PadMode::kConstant) {
    return PadConstant(lo, x, before, after, fill);
  }
  TensorRef y = x;
  for (int axis = 0; axis < x->rank(); ++axis) {
    y = PadAxis(lo, y, axis, before[axis], after[axis], mode);
  }
  return y;
}

}  // namespace tl
