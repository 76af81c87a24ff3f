// Packed weights for tests: blocks of random bytes with scales of an ordinary
// size. Only *_test.cc files include it.
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "kernel_tests/kernel_test.h"
#include "tensor/packed.h"

namespace tl::TL_KERNELS {

inline std::vector<DType> PackedDTypes() {
  std::vector<DType> dtypes;
  for (uint32_t number = 0; number < 64; ++number) {
    const auto dtype = FindGgufDType(number);
    if (dtype && IsPacked(*dtype)) dtypes.push_back(*dtype);
  }
  return dtypes;
}

// Where the halves of a block are that scale all of it; the others have none.
inline std::vector<int> ScalesOf(DType dtype) {
  switch (dtype) {
    case DType::Q4_1:
    case DType::Q5_1:
    case DType::Q4_K:
    case DType::Q5_K:
      return {0, 2};
    case DType::Q2_K:
      return {80, 82};
    case DType::Q3_K:
      return {108};
    case DType::Q6_K:
      return {208};
    case DType::TQ1_0:
      return {52};
    case DType::TQ2_0:
      return {64};
    case DType::MXFP4:
    case DType::NVFP4:
      return {};
    default:
      return {0};
  }
}

// Random blocks whose values are not far from 1.
inline std::vector<std::byte> RandomBlocks(DType dtype, int64_t elements,
                                           uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> scale(-0.02, 0.02);
  const DTypeInfo& info = Info(dtype);
  std::vector<std::byte> bytes(BlockBytes(dtype, elements));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  for (size_t at = 0; at < bytes.size(); at += info.block_bytes) {
    for (int place : ScalesOf(dtype)) {
      const uint16_t half = DoubleToHalf(scale(random));
      std::memcpy(bytes.data() + at + place, &half, sizeof(half));
    }
    if (dtype == DType::MXFP4) bytes[at] = std::byte(118 + random() % 6);
    if (dtype == DType::NVFP4) {
      for (int i = 0; i < 4; ++i) bytes[at + i] = std::byte(random() % 0x38);
    }
  }
  return bytes;
}

// The bytes as an array to hand to a kernel; its elements cannot be asked for.
inline TestArray PackedArray(DType dtype, const Dims& dims,
                             const std::vector<std::byte>& bytes) {
  TestArray array = {dtype, dims, dims, nullptr, 0, 0};
  int64_t stride = 1;
  for (size_t axis = dims.size(); axis-- > 0; stride *= dims[axis]) {
    array.strides[axis] = stride;
  }
  array.block_bytes = static_cast<int64_t>(bytes.size());
  array.block = AllocateHost(array.block_bytes);
  std::memcpy(array.block.get(), bytes.data(), bytes.size());
  return array;
}

}  // namespace tl::TL_KERNELS
