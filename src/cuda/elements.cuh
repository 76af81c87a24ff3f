// Elements of tensors in device code: f16 as its bits, f32 and int32, one by
// one or several neighbours at once.
#pragma once

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

template <int kCount, class T>
TL_DEVICE Pack<T, kCount> LoadPack(const T* from) {
  return *reinterpret_cast<const Pack<T, kCount>*>(from);
}
template <int kCount, class T>
TL_DEVICE void StorePack(const Pack<T, kCount>& pack, T* to) {
  *reinterpret_cast<Pack<T, kCount>*>(to) = pack;
}

}  // namespace tl::cuda
