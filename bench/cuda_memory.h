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

// `chunk` again and again.
inline std::shared_ptr<std::byte> Filled(int64_t bytes,
                                         const std::vector<uint16_t>& chunk) {
  const auto chunk_bytes = static_cast<int64_t>(chunk.size() * 2);
  auto memory = cuda::Allocate(bytes);
  for (int64_t at = 0; at < bytes; at += chunk_bytes) {
    cuda::CopyToDevice(memory.get() + at,
                       reinterpret_cast<const std::byte*>(chunk.data()),
                       std::min(chunk_bytes, bytes - at));
  }
  return memory;
}

inline std::vector<uint16_t> RandomWords(int64_t count) {
  std::mt19937 random(1);
  std::vector<uint16_t> words(count);
  for (uint16_t& word : words) word = static_cast<uint16_t>(random());
  return words;
}

// Of a random sign and an absolute value from `low`, a power of two, to twice that.
inline uint16_t RandomHalf(uint16_t random, uint16_t low) {
  return (random & 0x83ff) | low;
}

// Random bits, since constant ones would make the card faster than it is:
// halves of an absolute value from 0.25 to 0.5, or whatever else has such
// halves.
inline std::shared_ptr<std::byte> RandomBytes(int64_t bytes) {
  static const std::vector<uint16_t> kRandom = [] {
    std::vector<uint16_t> words = RandomWords(8 << 20);
    for (uint16_t& word : words) word = RandomHalf(word, 0x3400);
    return words;
  }();
  return Filled(bytes, kRandom);
}

}  // namespace tl
