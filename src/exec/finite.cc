#include "exec/finite.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/half.h"

namespace tl {
namespace {

struct Counts {
  int64_t inf = 0;
  int64_t nan = 0;
};

void Count(float value, Counts& counts) {
  counts.inf += std::isinf(value);
  counts.nan += std::isnan(value);
}

// Bytes from the first to the last element that a view reaches. Reversed views
// start at their lowest address.
Counts CountIn(Backend& backend, const View& view) {
  Counts counts;
  const bool f16 = view.dtype == DType::F16;
  if ((!f16 && view.dtype != DType::F32) || view.size() == 0) return counts;
  int64_t low = 0, high = 0;
  for (int axis = 0; axis < view.rank; ++axis) {
    const int64_t reach = (view.dims[axis] - 1) * view.strides[axis];
    (reach < 0 ? low : high) += reach;
  }
  const int64_t bytes = ElementBytes(view.dtype);
  std::vector<std::byte> host((high - low + 1) * bytes);
  backend.CopyOut(host.data(), view.data + low * bytes,
                  static_cast<int64_t>(host.size()), 0);
  int64_t index[kMaxRank] = {};
  for (int64_t n = view.size(); n > 0; --n) {
    int64_t offset = -low;
    for (int axis = 0; axis < view.rank; ++axis) {
      offset += index[axis] * view.strides[axis];
    }
    if (f16) {
      uint16_t bits;
      std::memcpy(&bits, &host[offset * bytes], sizeof(bits));
      Count(HalfToFloat(bits), counts);
    } else {
      float value;
      std::memcpy(&value, &host[offset * bytes], sizeof(value));
      Count(value, counts);
    }
    for (int axis = view.rank - 1; axis >= 0; --axis) {
      if (++index[axis] < view.dims[axis]) break;
      index[axis] = 0;
    }
  }
  return counts;
}

}  // namespace

void RequireFinite(Backend& backend, OpId op, std::span<const View> inputs,
                   std::span<const View> outputs) {
  backend.Wait();
  for (const View& input : inputs) {
    const Counts counts = CountIn(backend, input);
    if (counts.inf || counts.nan) return;
  }
  for (const View& output : outputs) {
    const Counts counts = CountIn(backend, output);
    if (counts.inf || counts.nan) {
      Fail(ErrorKind::kProgram,
           "{} made {} inf and {} NaN of {} values out of finite operands",
           op == OpId::Identity ? "elementwise operations" : Info(op).name,
           counts.inf, counts.nan, output.size());
    }
  }
}

}  // namespace tl
