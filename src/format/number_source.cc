#include "format/number_source.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "tensor/tensor.h"

namespace tl {
namespace {

// Numbers at a time: 16 KB of float32.
constexpr int64_t kStrip = 4096;
constexpr int64_t kChunk = 16 * kStrip;

template <class T, class F>
void Store(std::span<const float> values, std::byte* out, F&& convert) {
  for (size_t i = 0; i < values.size(); ++i) {
    const T value = convert(values[i]);
    std::memcpy(out + i * sizeof(T), &value, sizeof(T));
  }
}

void StoreAs(DType dtype, std::span<const float> values, std::byte* out) {
  if (dtype == DType::F32) {
    std::memcpy(out, values.data(), values.size_bytes());
  } else if (dtype == DType::F16) {
    Store<uint16_t>(values, out, FloatToHalf);
  } else if (dtype == DType::I8) {
    Store<int8_t>(values, out, [](float x) { return static_cast<int8_t>(x); });
  } else {
    TL_CHECK(dtype == DType::U8);
    Store<uint8_t>(values, out,
                   [](float x) { return static_cast<uint8_t>(x); });
  }
}

}  // namespace

BlockIndex::BlockIndex(std::vector<int64_t> shape, std::vector<int64_t> blocks)
    : shape_(std::move(shape)), blocks_(std::move(blocks)) {
  int64_t inside = 1;
  for (size_t axis = shape_.size(); axis-- > 0;) {
    if (blocks_[axis] > 1) {
      run_ = inside * (shape_[axis] / blocks_[axis]);
      return;
    }
    inside *= shape_[axis];
  }
}

int64_t BlockIndex::At(int64_t position) const {
  if (run_ == INT64_MAX) return 0;
  int64_t index = 0, stride = 1;
  for (size_t axis = shape_.size(); axis-- > 0;) {
    const int64_t coordinate = position % shape_[axis];
    position /= shape_[axis];
    index += coordinate / (shape_[axis] / blocks_[axis]) * stride;
    stride *= blocks_[axis];
  }
  return index;
}

std::shared_ptr<std::byte> Materialize(const NumberSource& source, DType dtype,
                                       int64_t elements) {
  auto bytes = AllocateHost(BytesOf(dtype, elements));
  const int64_t size = ElementBytes(dtype);
  ParallelFor(elements, kChunk, [&](int64_t begin, int64_t end) {
    std::array<float, kStrip> strip;
    for (int64_t at = begin; at < end; at += kStrip) {
      const auto values =
          std::span(strip).first(std::min<int64_t>(kStrip, end - at));
      source.Read(at, values);
      StoreAs(dtype, values, bytes.get() + at * size);
    }
  });
  return bytes;
}

}  // namespace tl
