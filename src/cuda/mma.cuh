// Products of small matrices by a whole warp on its tensor cores, and how their
// operands come out of shared memory. Emulated with the same layout of elements
// over lanes (PTX ISA, "Matrix Fragments for mma.m16n8k16"):
//   g = lane / 4, t = lane % 4
//   a[0], a[1]: A[g], A[g + 8] at k = 2t, 2t + 1;  a[2], a[3]: the same at + 8
//   b[0], b[1]: B[2t], B[2t + 1] at n = g;  the same at k + 8
//   c[0], c[1]: C[g][2t], C[g][2t + 1];  c[2], c[3]: the same of row g + 8
#pragma once

#include "cuda/device.cuh"

namespace tl::cuda {

#ifdef TL_CUDA_EMULATED

// c += A @ B with A [16, 16] and B [16, 8] of f16, C in f32.
TL_DEVICE void Mma(float (&c)[4], const uint32_t (&a)[4],
                   const uint32_t (&b)[2]) {
  struct Given {
    float a[8], b[4];
  };
  const auto unpack = [](const uint32_t* from, int count, float* to) {
    for (int i = 0; i < 2 * count; ++i) {
      to[i] = FromHalf(static_cast<uint16_t>(from[i / 2] >> i % 2 * 16));
    }
  };
  Given mine;
  unpack(a, 4, mine.a);
  unpack(b, 2, mine.b);
  const Given* all = emulator::Exchange(mine);
  const int g = Lane() / 4, t = Lane() % 4;
  for (int k = 0; k < 16; ++k) {
    const int from = k % 8 / 2, upper = k / 8;
    const Given& row = all[4 * g + from];
    const float low = row.a[4 * upper + k % 2];
    const float high = row.a[4 * upper + 2 + k % 2];
    for (int j = 0; j < 2; ++j) {
      const float w = all[4 * (2 * t + j) + from].b[2 * upper + k % 2];
      c[j] += low * w;
      c[2 + j] += high * w;
    }
  }
}

// Four 8x8 matrices of f16: lane i gives the address, 16-byte aligned, of row
// i % 8 of matrix i / 8. Of matrix r a lane gets [g][2t], [g][2t + 1] in to[r].
TL_DEVICE void LoadMatrices(uint32_t (&to)[4], const void* row) {
  const void* const* rows = emulator::Exchange(row);
  const int g = Lane() / 4, t = Lane() % 4;
  for (int r = 0; r < 4; ++r) {
    to[r] = static_cast<const uint32_t*>(rows[8 * r + g])[t];
  }
}

// The same, of the transposed matrices: [2t][g], [2t + 1][g].
TL_DEVICE void LoadMatricesTransposed(uint32_t (&to)[4], const void* row) {
  const void* const* rows = emulator::Exchange(row);
  const int g = Lane() / 4, t = Lane() % 4;
  for (int r = 0; r < 4; ++r) {
    const auto at = [&](int k) {
      return static_cast<const uint16_t*>(rows[8 * r + 2 * t + k])[g];
    };
    to[r] = at(0) | uint32_t{at(1)} << 16;
  }
}

// An 8x8 matrix of f16 of which a lane has [g][2t], [g][2t + 1], transposed.
TL_DEVICE uint32_t TransposeMatrix(uint32_t mine) {
  const uint32_t* all = emulator::Exchange(mine);
  const int g = Lane() / 4, t = Lane() % 4;
  const auto at = [&](int row) {
    return all[4 * row + g / 2] >> g % 2 * 16 & 0xffff;
  };
  return at(2 * t) | at(2 * t + 1) << 16;
}

#else

TL_DEVICE void Mma(float (&c)[4], const uint32_t (&a)[4],
                   const uint32_t (&b)[2]) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#pragma unroll
  for (int upper = 0; upper < 2; ++upper) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[2 * upper]), "r"(a[2 * upper + 1]), "r"(b[upper]));
  }
#endif
}

TL_DEVICE void LoadMatrices(uint32_t (&to)[4], const void* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

TL_DEVICE void LoadMatricesTransposed(uint32_t (&to)[4], const void* row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
      : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
      : "r"(address)
      : "memory");
}

TL_DEVICE uint32_t TransposeMatrix(uint32_t mine) {
  uint32_t transposed;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;\n"
               : "=r"(transposed)
               : "r"(mine));
  return transposed;
}

#endif

}  // namespace tl::cuda
