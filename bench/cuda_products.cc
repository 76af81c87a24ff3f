// Matrix products on the card: large ones by cuBLASLt and by our own kernels, few
// rows beside what reading the weights takes. One line for each; times are means
// of many launches that wait for each other, with weights that are in no cache.
#include <chrono>
#include <cstdio>
#include <string>

#include "bench/cuda_memory.h"
#include "cuda/cublaslt.h"
#include "cuda/kernels.h"

namespace tl {
namespace {

struct Case {
  DType weights;
  int64_t m, k, n;
};

View Matrix(std::byte* data, DType dtype, int64_t rows, int64_t columns,
            bool transposed) {
  View view = {data, dtype, 2, {}, {}};
  view.dims[0] = transposed ? columns : rows;
  view.dims[1] = transposed ? rows : columns;
  view.strides[0] = transposed ? 1 : columns;
  view.strides[1] = transposed ? columns : 1;
  return view;
}

void Measure(const Case& c, const char* who) {
  const int64_t weight_bytes = BlockBytes(c.weights, c.n * c.k);
  const int64_t copies =
      std::max<int64_t>((int64_t{512} << 20) / weight_bytes, 1);
  const int launches = c.m > 8 ? 20 : 200;
  const auto x = RandomBytes(c.m * c.k * 2), y = RandomBytes(c.m * c.n * 2);
  const auto w = RandomBytes(copies * weight_bytes);
  const auto run = [&](int64_t i) {
    const View inputs[2] = {
        Matrix(x.get(), DType::F16, c.m, c.k, false),
        Matrix(w.get() + i % copies * weight_bytes, c.weights, c.n, c.k, true)};
    const View output = Matrix(y.get(), DType::F16, c.m, c.n, false);
    KernelArgs args;
    args.inputs = inputs;
    args.outputs = {&output, 1};
    cuda::Matmul(args);
  };
  for (int i = 0; i < 3; ++i) run(i);
  cuda::Synchronize();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < launches; ++i) run(i);
  cuda::Synchronize();
  const std::chrono::duration<double> time =
      std::chrono::steady_clock::now() - start;
  const double seconds = time.count() / launches;
  std::printf("%-6s %6lld x %6lld x %6lld  %-9s %9.1f us %8.1f TFLOP/s %8.0f GB/s\n",
              std::string(Info(c.weights).name).c_str(),
              static_cast<long long>(c.m), static_cast<long long>(c.k),
              static_cast<long long>(c.n), who, seconds * 1e6,
              2e-12 * static_cast<double>(c.m * c.k * c.n) / seconds,
              1e-9 * static_cast<double>(weight_bytes) / seconds);
}

}  // namespace
}  // namespace tl

int main() {
  using namespace tl;
  using enum DType;
  if (!cuda::FindCard().available) {
    std::printf("no card: %s\n", cuda::FindCard().why.c_str());
    return 1;
  }
  const std::string& why = cuda::WhyNoCublasLt();
  if (!why.empty()) std::printf("without cuBLASLt: %s\n", why.c_str());
  for (bool library : {true, false}) {
    if (library && !why.empty()) continue;
    cuda::UseCublasLt(library);
    const char* who = library ? "cuBLASLt" : "own";
    for (const Case& c : {Case{F16, 4096, 4096, 4096}, {F16, 8192, 8192, 8192},
                          {F16, 512, 4096, 14336}, {F16, 16, 4096, 4096},
                          {Q4_K, 512, 4096, 14336}, {Q8_0, 512, 4096, 14336}}) {
      Measure(c, who);
    }
  }
  for (DType weights : {F16, Q8_0, Q4_0, Q4_K, Q6_K, Q5_K, IQ4_XS, MXFP4}) {
    for (int64_t m : {1, 4, 8}) Measure({weights, m, 4096, 14336}, "own");
  }
}
