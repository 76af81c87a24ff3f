// Elements of tensors in device code: f16 as its bits, f32 and int32, one by
// one or several neighbours at once.
#pragma once

#include <cstring>
#include <type_traits>

#include "cuda/device.cuh"

namespace tl::cuda {

TL_DEVICE float ToFloat(uint16_t half) { return FromHalf(half); }
TL_DEVICE float ToFloat(float x) { return x; }
TL_DEVICE float ToFloat(int32_t x) { return __int2float_rn(x); }

TL_DEVICE void FromFloat(float x, uint16_t& to) { to = ToHalf(x); }
TL_DEVICE void FromFloat(float x, float& to) { to = x; }

// Neighbours that one instruction moves where they are 16 bytes or fewer, and
// begin at a multiple of their size.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount < 16 ? sizeof(T) * kCount : 16) Pack {
  T at[kCount];
};

// As many as 16 bytes hold.
template <class T>
inline constexpr int kWide = 16 / static_cast<int>(sizeof(T));

// What `bytes` are moved as: nvcc moves no more than four neighbours of a type
// with one instruction.
template <size_t bytes>
using MovedAs = std::conditional_t<
    bytes % 16 == 0, uint4,
    std::conditional_t<bytes == 8, uint2,
                       std::conditional_t<bytes == 4, uint32_t, uint16_t>>>;

template <int kCount, class T>
TL_DEVICE Pack<T, kCount> LoadPack(const T* from) {
  using Words = MovedAs<sizeof(Pack<T, kCount>)>;
  constexpr size_t kWords = sizeof(Pack<T, kCount>) / sizeof(Words);
  Words words[kWords];
#pragma unroll
  for (size_t i = 0; i < kWords; ++i) {
    words[i] = reinterpret_cast<const Words*>(from)[i];
  }
  Pack<T, kCount> pack;
  memcpy(&pack, words, sizeof(pack));
  return pack;
}
template <int kCount, class T>
TL_DEVICE void StorePack(const Pack<T, kCount>& pack, T* to) {
  using Words = MovedAs<sizeof(pack)>;
  constexpr size_t kWords = sizeof(pack) / sizeof(Words);
  Words words[kWords];
  memcpy(words, &pack, sizeof(pack));
#pragma unroll
  for (size_t i = 0; i < kWords; ++i)
    reinterpret_cast<Words*>(to)[i] = words[i];
}

}  // namespace tl::cuda
