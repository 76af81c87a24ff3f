// Kernels that are bound by memory beside what memory can do, in the same run.
// 64 M elements of f16 unless said otherwise; figures in bench/README.md.
#include <immintrin.h>

#include <cstdio>
#include <cstring>

#include "base/half.h"
#include "base/parallel.h"
#include "bench/ratio_table.h"
#include "cpu/kernels.h"
#include "tensor/tensor.h"

namespace tl {
namespace {

using bench::Case;

constexpr int64_t kElements = int64_t{64} << 20;
constexpr int64_t kRow = 4096;
constexpr int kRounds = 15;
constexpr int64_t kChunk = 256 << 10;

Tensor Halves(int64_t count, int seed) {
  Tensor tensor = MakeTensor(DType::F16, Shape({Dim(count)}));
  uint16_t* data = tensor.as<uint16_t>();
  ParallelFor(count, kChunk, [&](int64_t begin, int64_t end) {
    uint32_t state = static_cast<uint32_t>(begin) * 2654435761u + seed;
    for (int64_t i = begin; i < end; ++i) {
      state = state * 1664525 + 1013904223;
      data[i] = FloatToHalf(static_cast<int32_t>(state) * 0x1p-29f);
    }
  });
  return tensor;
}

View RowsOf(const Tensor& tensor, int64_t row) {
  View view = {};
  view.data = tensor.data.get();
  view.dtype = tensor.dtype;
  view.rank = 2;
  view.dims[0] = tensor.size() / row;
  view.dims[1] = row;
  view.strides[0] = row;
  view.strides[1] = 1;
  return view;
}

// a = b + 3 c in f32, the stores past the caches: the most useful bytes per
// second that reading two streams and writing one can reach.
void Triad(float* a, const float* b, const float* c, int64_t count) {
  const __m128 three = _mm_set1_ps(3);
  ParallelFor(count, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 4) {
      const __m128 product = _mm_mul_ps(three, _mm_load_ps(c + i));
      _mm_stream_ps(a + i, _mm_add_ps(_mm_load_ps(b + i), product));
    }
    _mm_sfence();
  });
}

void ElementwiseAgainstTriad() {
  const Tensor a = Halves(kElements, 1), b = Halves(kElements, 2);
  const Tensor c = Halves(kElements, 3), y = Halves(kElements, 4);
  const View inputs[] = {RowsOf(a, kRow), RowsOf(b, kRow), RowsOf(c, kRow)};
  const View output = RowsOf(y, kRow);
  ElementwiseProgram multiply_add;
  multiply_add.inputs = 3;
  multiply_add.input_dtypes = {DType::F16, DType::F16, DType::F16};
  multiply_add.instructions = {{OpId::Mul, DType::F16, false, {0, 1}},
                               {OpId::Add, DType::F16, false, {3, 2}}};
  multiply_add.outputs = {4};
  ElementwiseProgram gate = multiply_add;
  gate.instructions = {{OpId::Silu, DType::F16, false, {0}},
                       {OpId::Mul, DType::F16, false, {3, 1}},
                       {OpId::Add, DType::F16, false, {4, 2}}};
  gate.outputs = {5};
  const auto run = [&](const ElementwiseProgram& program) {
    KernelArgs args;
    args.inputs = inputs;
    args.outputs = {&output, 1};
    args.program = &program;
    cpu::Elementwise(args);
  };
  Tensor triad[3];
  for (Tensor& t : triad) {
    t = MakeTensor(DType::F32, Shape({Dim(kElements / 2)}));
    std::memset(t.data.get(), 0, t.bytes());
  }
  const double bytes = kElements * 2.0;
  bench::PrintRatios({{"triad, streaming stores", 3 * bytes,
                       [&] {
                         Triad(triad[0].as<float>(), triad[1].as<float>(),
                               triad[2].as<float>(), kElements / 2);
                       }},
                      {"a * b + c", 4 * bytes, [&] { run(multiply_add); }},
                      {"silu(a) * b + c", 4 * bytes, [&] { run(gate); }}},
                     kRounds);
}

void Copy(const Tensor& to, const Tensor& from) {
  // One long copy per thread: the C library then streams past the caches.
  ParallelFor(to.bytes(), to.bytes() / Threads(),
              [&](int64_t begin, int64_t end) {
                std::memcpy(to.data.get() + begin, from.data.get() + begin,
                            end - begin);
              });
}

// Read once, written once.
void RowsAgainstCopy() {
  const Tensor x = Halves(kElements, 1), y = Halves(kElements, 2);
  const Tensor weight = Halves(kRow, 3), bias = Halves(kRow, 4);
  View vector = RowsOf(weight, kRow);
  vector.rank = 1;
  vector.dims[0] = kRow;
  vector.strides[0] = 1;
  View other = vector;
  other.data = bias.data.get();
  const View inputs[] = {RowsOf(x, kRow), vector, other};
  const View output = RowsOf(y, kRow);
  const int64_t ints[] = {1, 3};
  const double eps[] = {1e-5};
  const auto run = [&](void (*kernel)(const KernelArgs&), size_t count) {
    KernelArgs args;
    args.inputs = {inputs, count};
    args.outputs = {&output, 1};
    args.ints = ints;
    args.numbers = eps;
    kernel(args);
  };
  const double bytes = 2 * kElements * 2.0;
  bench::PrintRatios(
      {{"memcpy, read + written", bytes, [&] { Copy(y, x); }},
       {"rms_norm, rows of 4096", bytes, [&] { run(cpu::RmsNorm, 2); }},
       {"layer_norm, rows of 4096", bytes, [&] { run(cpu::LayerNorm, 3); }},
       {"softmax, rows of 4096", bytes, [&] { run(cpu::Softmax, 1); }},
       {"sum of rows (bytes read)", bytes / 2,
        [&] {
          KernelArgs args;
          View sums = RowsOf(y, 1);
          sums.rank = 1;
          args.inputs = inputs;
          args.outputs = {&sums, 1};
          const int64_t axes[] = {1, 1};
          args.ints = axes;
          cpu::Sum(args);
        }}},
      kRounds);
}

// A whole model's worth: 1 G elements would be 2 GB of f16; the rate is the
// same from 64 M on.
void DecodeAgainstCopy() {
  const Tensor narrow = Halves(kElements, 1), half = Halves(kElements, 2);
  Tensor wide = MakeTensor(DType::F32, Shape({Dim(kElements)}));
  ParallelFor(kElements, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      wide.as<float>()[i] = static_cast<float>(i % 1000) - 499.5f;
    }
  });
  Tensor brain = MakeTensor(DType::BF16, Shape({Dim(kElements)}));
  ParallelFor(kElements, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      brain.as<uint16_t>()[i] = FloatToBFloat16(wide.as<float>()[i]);
    }
  });
  const auto run = [&](const Tensor& from) {
    const View input = RowsOf(from, kRow), output = RowsOf(half, kRow);
    DecodeCounts counts;
    KernelArgs args;
    args.inputs = {&input, 1};
    args.outputs = {&output, 1};
    args.counts = &counts;
    cpu::Decode(args);
  };
  const double bytes = kElements;
  bench::PrintRatios(
      {{"memcpy, read + written", 4 * bytes, [&] { Copy(half, narrow); }},
       {"BF16 to f16", 4 * bytes, [&] { run(brain); }},
       {"F32 to f16", 6 * bytes, [&] { run(wide); }},
       {"F16 to f16", 4 * bytes, [&] { run(narrow); }}},
      kRounds);
}

}  // namespace
}  // namespace tl

int main() {
  std::printf("%d threads, %lld M elements, medians of %d rounds\n\n",
              tl::Threads(), static_cast<long long>(tl::kElements >> 20),
              tl::kRounds);
  tl::ElementwiseAgainstTriad();
  tl::RowsAgainstCopy();
  tl::DecodeAgainstCopy();
  return 0;
}
