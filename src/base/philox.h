// The random words that everything random here is made of: Philox4x32-10
// (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011). Word i of a seed is lane i % 4 of the counter {low, high 32 bits of
// i / 4, 0, 0} under the key {low, high 32 bits of the seed}.
#pragma once

#include <array>
#include <cstdint>

namespace tl {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

constexpr PhiloxCounter Philox(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;  // the golden ratio
    key[1] += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

// The four words elements 4 * block .. 4 * block + 3 are made from.
constexpr PhiloxCounter PhiloxBlock(uint64_t block, PhiloxKey key) {
  return Philox(
      {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0},
      key);
}

// A multiple of 2^-24 in [0, 1): exact in f32, so it never rounds up to 1.
constexpr float UniformFloat(uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}

// The key of a seed.
constexpr PhiloxKey PhiloxKeyOf(uint64_t seed) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
}

// Element i of what rand() draws with this seed.
constexpr float UniformAt(uint64_t i, uint64_t seed) {
  return UniformFloat(PhiloxBlock(i / 4, PhiloxKeyOf(seed))[i % 4]);
}

}  // namespace tl
