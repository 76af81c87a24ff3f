// Working memory of a kernel that outlives one call, so that a loop of products
// does not ask the system for the same megabytes again and again. One block per
// thread and use; not for results. Blocks are uninitialised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tensor/tensor.h"

namespace tl::cpu {

class Scratch {
 public:
  // What Get gave last.
  float* data() const { return reinterpret_cast<float*>(block_.get()); }

  // `count` floats at a cache line's start, valid until the next Get.
  float* Get(int64_t count) {
    const int64_t bytes = count * int64_t{sizeof(float)};
    const bool hoards = capacity_ > kKept && bytes <= kKept;
    if (bytes > capacity_ || hoards) {
      block_.reset();
      capacity_ = 0;
      block_ = AllocateHost(bytes);
      capacity_ = bytes;
    }
    return reinterpret_cast<float*>(block_.get());
  }

 private:
  // What the usual products need; more is given back at the next smaller one.
  static constexpr int64_t kKept = int64_t{32} << 20;

  std::shared_ptr<std::byte> block_;
  int64_t capacity_ = 0;
};

}  // namespace tl::cpu
