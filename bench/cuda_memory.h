// Random contents of the card's memory, for what is measured with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "cuda/memory.h"
#include "cuda/runtime.h"

namespace tl {

// Random bits, since constant ones would make the card faster than it is:
// halves of an absolute value from 0.25 to 0.5, or whatever else has such
// halves.
inline std::shared_ptr<std::byte> RandomBytes(int64_t bytes) {
  constexpr int64_t kChunk = 16 << 20;
  static const std::vector<uint32_t> kRandom = [] {
    std::mt19937 random(1);
    std::vector<uint32_t> words(kChunk / 4);
    for (uint32_t& word : words) word = (random() & 0x83ff83ff) | 0x34003400;
    return words;
  }();
  auto memory = cuda::Allocate(bytes);
  for (int64_t at = 0; at < bytes; at += kChunk) {
    cuda::CopyToDevice(memory.get() + at,
                       reinterpret_cast<const std::byte*>(kRandom.data()),
                       std::min(kChunk, bytes - at));
  }
  return memory;
}

}  // namespace tl
