// Packed weights beside what the machine can do, in the same run: decoding
// beside a copy, a matrix times a vector beside reading the same bytes, many
// rows beside the multiply instruction alone. Figures in bench/README.md.
#include <immintrin.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/parallel.h"
#include "bench/ratio_table.h"
#include "bench/read_sum.h"
#include "cpu/kernels.h"
#include "tensor/tensor.h"

namespace tl {
namespace {

using bench::Case;

constexpr int kRounds = 15;
constexpr int64_t kChunk = 256 << 10;
// So many weights that none is found in a cache the next time.
constexpr int64_t kRotatingBytes = int64_t{1024} << 20;

// Whole blocks of random bytes with small scales wherever a scale may be.
Tensor RandomPacked(DType dtype, int64_t rows, int64_t columns, uint32_t seed) {
  Tensor tensor = MakeTensor(dtype, Shape({Dim(rows), Dim(columns)}));
  auto* bytes = reinterpret_cast<uint8_t*>(tensor.data.get());
  ParallelFor(tensor.bytes(), kChunk, [&](int64_t begin, int64_t end) {
    uint32_t state = static_cast<uint32_t>(begin) * 2654435761u + seed;
    for (int64_t i = begin; i < end; ++i) {
      state = state * 1664525 + 1013904223;
      bytes[i] = static_cast<uint8_t>(state >> 24);
    }
  });
  const int64_t block = Info(dtype).block_bytes;
  const int at = dtype == DType::Q6_K ? 208 : 0;
  const uint16_t scales[2] = {FloatToHalf(0.01f), FloatToHalf(0.02f)};
  for (int64_t i = 0; i < tensor.bytes(); i += block) {
    std::memcpy(bytes + i + at, scales, dtype == DType::Q4_K ? 4 : 2);
  }
  return tensor;
}

Tensor Halves(int64_t rows, int64_t columns) {
  Tensor tensor = MakeTensor(DType::F16, Shape({Dim(rows), Dim(columns)}));
  uint32_t state = 1;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    state = state * 1664525 + 1013904223;
    tensor.as<uint16_t>()[i] =
        FloatToHalf(static_cast<int32_t>(state) * 0x1p-31f);
  }
  return tensor;
}

View WholeView(const Tensor& tensor) {
  View view = {tensor.data.get(), tensor.dtype, 2, {}, {}};
  for (int axis : {0, 1}) view.dims[axis] = tensor.shape.dim(axis);
  view.strides[0] = view.dims[1];
  view.strides[1] = 1;
  return view;
}

View Transposed(View view) {
  std::swap(view.dims[0], view.dims[1]);
  std::swap(view.strides[0], view.strides[1]);
  return view;
}

void DecodeInto(const Tensor& y, const Tensor& w) {
  const View input = WholeView(w), output = WholeView(y);
  KernelArgs args;
  args.inputs = {&input, 1};
  args.outputs = {&output, 1};
  DecodeCounts counts;
  args.counts = &counts;
  cpu::Decode(args);
}

void Multiply(const Tensor& y, const Tensor& x, const Tensor& w, bool exact) {
  const View inputs[] = {WholeView(x), Transposed(WholeView(w))};
  const View output = WholeView(y);
  const int64_t ints[] = {int64_t(DType::F16), exact};
  KernelArgs args;
  args.inputs = inputs;
  args.outputs = {&output, 1};
  args.ints = ints;
  cpu::Matmul(args);
}

void Copy(std::byte* to, const std::byte* from, int64_t bytes) {
  ParallelFor(bytes, 2 << 20, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, end - begin);
  });
}

void Decoding() {
  constexpr int64_t kRows = 16 << 10, kColumns = 4096;
  const Tensor y = Halves(kRows, kColumns);
  const Tensor source = Halves(kRows, kColumns);
  const double copied = 2.0 * static_cast<double>(y.bytes());
  std::vector<Tensor> packed;
  std::vector<Case> cases = {
      {"memcpy", copied,
       [&] { Copy(y.data.get(), source.data.get(), y.bytes()); }}};
  for (DType dtype : {DType::Q4_0, DType::Q8_0, DType::Q4_K, DType::Q6_K}) {
    const Tensor w = RandomPacked(dtype, kRows, kColumns, 1);
    cases.push_back({std::string(Info(dtype).name) + " to f16",
                     static_cast<double>(w.bytes() + y.bytes()),
                     [&y, w] { DecodeInto(y, w); }});
  }
  bench::PrintRatios(cases, kRounds);
}

void FewRows(DType dtype) {
  constexpr int64_t kSize = 4096;
  std::vector<Tensor> weights;
  for (int64_t sum = 0; sum < kRotatingBytes; sum += weights[0].bytes()) {
    weights.push_back(
        RandomPacked(dtype, kSize, kSize, static_cast<uint32_t>(sum)));
  }
  size_t turn = 0;
  const auto next = [&]() -> const Tensor& {
    return weights[turn++ % weights.size()];
  };
  const double bytes = static_cast<double>(weights[0].bytes());
  std::vector<Case> cases = {
      {"read and add", bytes, [&] { bench::ReadSum(next()); }}};
  for (int64_t m : {1, 2, 4, 8}) {
    const Tensor x = Halves(m, kSize), y = Halves(m, kSize);
    cases.push_back(
        {std::to_string(m) + " x 4096 @ 4096^2 " +
             std::string(Info(dtype).name),
         bytes, [&next, x, y] { Multiply(y, x, next(), false); }});
  }
  bench::PrintRatios(cases, 4 * kRounds);
}

// What the instruction does that multiplies 64 bytes and adds up fours.
constexpr int64_t kPeakSteps = 4 << 20;
constexpr double kPeakOperations = 2.0 * 64 * 12 * kPeakSteps;

__attribute__((target("avx512f,avx512vnni"))) void PeakOfOneThread() {
  __m512i sums[12] = {};
  const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (int64_t i = 0; i < kPeakSteps; ++i) {
    for (__m512i& sum : sums) {
      asm volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    }
  }
}

void Peak() {
  ParallelFor(Threads(), 1, [](int64_t, int64_t) { PeakOfOneThread(); });
}

void ManyRows(int64_t m) {
  constexpr int64_t kSize = 4096;
  std::vector<Case> cases = {
      {"vpdpbusd alone", kPeakOperations * Threads(), Peak}};
  const Tensor x = Halves(m, kSize), y = Halves(m, kSize);
  for (DType dtype : {DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K}) {
    const Tensor w = RandomPacked(dtype, kSize, kSize, 1);
    for (bool exact : {false, true}) {
      cases.push_back({std::to_string(m) + " x 4096 @ 4096^2 " +
                           std::string(Info(dtype).name) +
                           (exact ? ", exact" : ""),
                       2.0 * static_cast<double>(m * kSize * kSize),
                       [=] { Multiply(y, x, w, exact); }});
    }
  }
  bench::PrintRatios(cases, kRounds, "GOP/s");
}

}  // namespace
}  // namespace tl

int main() {
  std::printf("%d threads\n\n", tl::Threads());
  tl::Decoding();
  for (tl::DType dtype : {tl::DType::Q8_0, tl::DType::Q4_0, tl::DType::Q4_K,
                          tl::DType::Q6_K}) {
    tl::FewRows(dtype);
  }
  if (__builtin_cpu_supports("avx512vnni")) {
    tl::ManyRows(512);
    tl::ManyRows(32);
  }
}
