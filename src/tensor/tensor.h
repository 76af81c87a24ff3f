// A tensor with bytes: type, shape and memory. Row-major, contiguous, immutable
// once others can see it. Lazy tensors are graph/node.h; strided views exist
// only inside a plan (exec/backend.h).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace tl {

// Where memory lives; backends/backends.def numbers the others.
enum class Device : uint8_t { kCpu, kGpu };

struct Tensor {
  DType dtype = DType::F16;
  Device device = Device::kCpu;
  Shape shape;  // known
  // The first byte. The pointer owns what keeps the bytes alive: a heap block,
  // or a mapped file (then they are read-only and may be at any alignment).
  std::shared_ptr<std::byte> data;
  // The bytes belong to a mapped file: never written, not even in place.
  bool mapped = false;
  // Of a device that works by itself: which of its work makes the bytes (Ticket
  // in exec/backend.h).
  uint64_t ticket = 0;

  explicit operator bool() const { return data != nullptr; }
  int64_t size() const { return shape.size(); }
  int64_t bytes() const;  // of the elements; whole blocks

  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data.get());
  }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data.get());
  }
};

// Bytes that `elements` of `dtype` take; fails if they overflow 2^62 or end
// inside a block.
int64_t BytesOf(DType dtype, int64_t elements);

// Uninitialised host memory, 64-byte aligned, with at least 64 readable bytes
// after the end so that vector kernels may read (never write) past it.
std::shared_ptr<std::byte> AllocateHost(int64_t bytes);

// A new host tensor, uninitialised.
Tensor MakeTensor(DType dtype, const Shape& shape);

}  // namespace tl
