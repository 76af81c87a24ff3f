// The yardstick of walks over weights: reading the same bytes and doing next to
// nothing with them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/parallel.h"
#include "tensor/tensor.h"

namespace tl::bench {

// Adds up all bytes as 64-bit integers.
inline void ReadSum(const Tensor& data) {
  constexpr int64_t kGrain = int64_t{32} << 10;
  const int64_t words = data.bytes() / 8;
  static std::vector<uint64_t> sums;
  sums.resize(words / kGrain + 1);
  ParallelFor(words, kGrain, [&](int64_t begin, int64_t end) {
    const auto* p = reinterpret_cast<const uint64_t*>(data.data.get());
    uint64_t sum[8] = {};
    for (int64_t i = begin; i + 8 <= end; i += 8) {
      for (int j = 0; j < 8; ++j) sum[j] += p[i + j];
    }
    for (uint64_t part : sum) sums[begin / kGrain] += part;
  });
}

}  // namespace tl::bench
