// A row of halves that blocks hand to those that run the next step: each half
// is a word that carries the number of the handing over, too. Who needs the row
// reads its words until they have that number, and so waits neither for all
// blocks nor, after that, for the row. All ask for it at once, and a line of the
// second-level cache answers them one after the other: there are some copies of each
// line, side by side, each for some of the blocks.
#pragma once

#include "cuda/pipeline.cuh"
#include "cuda/steps.h"

namespace tl::cuda {

// Where word `at` of a row is; its other copies are kHandedLine words further each.
TL_DEVICE int PlaceOfHanded(int at) {
  constexpr int kInLine = kHandedLine - 1;
  return (at & ~kInLine) * kHandedCopies + (at & kInLine);
}

TL_DEVICE void HandOn(uint32_t* words, int at, uint16_t half, uint32_t number) {
  uint32_t* const to = words + PlaceOfHanded(at);
#pragma unroll
  for (int copy = 0; copy < kHandedCopies; ++copy) {
    StoreRelaxed(to + copy * kHandedLine, half | number << 16);
  }
}

// Halves 4 * four and the three behind it.
TL_DEVICE void HandOnFour(uint32_t* words, int four, uint32_t low, uint32_t high,
                          uint32_t number) {
  const uint32_t n = number << 16;
  const uint4 all = make_uint4((low & 0xffff) | n, low >> 16 | n, (high & 0xffff) | n,
                               high >> 16 | n);
  uint32_t* const to = words + PlaceOfHanded(4 * four);
#pragma unroll
  for (int copy = 0; copy < kHandedCopies; ++copy) {
    StoreRelaxed(reinterpret_cast<uint4*>(to + copy * kHandedLine), all);
  }
}

// Halves 8 * eight and the seven behind it of a row of `eights`, of kEights of
// them from `first` on. What is behind the row is its end again.
template <int kEights>
TL_DEVICE void TakeHanded(const uint32_t* words, uint32_t number, int first,
                          int stride, int eights, uint4 (&halves)[kEights]) {
  const uint32_t wanted = number << 16;
  words += blockIdx.x % kHandedCopies * kHandedLine;
  while (true) {
    uint32_t different = 0;
#pragma unroll
    for (int i = 0; i < kEights; ++i) {
      const int at = min(first + i * stride, eights - 1);
      const auto* from =
          reinterpret_cast<const uint4*>(words + PlaceOfHanded(8 * at));
      const uint4 a = LoadRelaxed(from), b = LoadRelaxed(from + 1);
      different |= (a.x ^ wanted) | (a.y ^ wanted) | (a.z ^ wanted) |
                   (a.w ^ wanted) | (b.x ^ wanted) | (b.y ^ wanted) |
                   (b.z ^ wanted) | (b.w ^ wanted);
      halves[i] = make_uint4(
          __byte_perm(a.x, a.y, 0x5410), __byte_perm(a.z, a.w, 0x5410),
          __byte_perm(b.x, b.y, 0x5410), __byte_perm(b.z, b.w, 0x5410));
    }
    if (different >> 16 == 0) return;
    LookAgain();
  }
}

}  // namespace tl::cuda
