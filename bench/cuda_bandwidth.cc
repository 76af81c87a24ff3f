// What kernels that only move memory reach on the card, beside a copy: fused
// elementwise chains, rows (softmax, norms), sums, and products of one row alone
// and one after the other in a list of steps. Bytes are those that have to be
// moved: each operand read once, each result written once.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "bench/cuda_memory.h"
#include "cuda/kernels.h"
#include "cuda/step_list.h"

namespace tl {
namespace {

using Bytes = std::shared_ptr<std::byte>;

constexpr int64_t kElements = int64_t{256} << 20;
constexpr int kRounds = 10;
constexpr int kLaunches = 5, kShortLaunches = 48;

double copy_rate = 0;  // GB/s, read and written

Bytes Halves(int64_t count) { return RandomBytes(count * 2); }

View Rows(const Bytes& data, int64_t rows, int64_t columns,
          DType dtype = DType::F16) {
  return {data.get(), dtype, 2, {rows, columns}, {columns, 1}};
}

// The quickest of some rounds: others use the machine, too. Of short ones there are more
// launches to a round, as bench/gpu_torch.py has them: waiting for the last is no part
// of what they take.
double Seconds(const std::function<void(int)>& run, int launches = kLaunches) {
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    cuda::Synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < launches; ++i) run(round * launches + i);
    cuda::Synchronize();
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count() / launches);
  }
  return best;
}

void Report(const char* name, int64_t bytes, double seconds) {
  const double rate = static_cast<double>(bytes) / seconds * 1e-9;
  std::printf("%-36s %9.1f us %8.0f GB/s %5.1f %% of a copy\n", name,
              seconds * 1e6, rate, 100 * rate / copy_rate);
}

void Copy() {
  const Bytes from = Halves(kElements), to = Halves(kElements);
  const double seconds = Seconds(
      [&](int) { cuda::CopyOnDevice(to.get(), from.get(), kElements * 2); });
  copy_rate = static_cast<double>(kElements) * 4 / seconds * 1e-9;
  Report("copy, 256 M halves", kElements * 4, seconds);
}

void Chain() {
  const Bytes a = Halves(kElements), b = Halves(kElements);
  const Bytes c = Halves(kElements), out = Halves(kElements);
  ElementwiseProgram program;
  program.inputs = 3;
  program.input_dtypes = {DType::F16, DType::F16, DType::F16};
  program.instructions = {{OpId::Silu, DType::F16, false, {0, 0, 0}},
                          {OpId::Mul, DType::F16, false, {3, 1, 0}},
                          {OpId::Add, DType::F16, false, {4, 2, 0}}};
  program.outputs = {5};
  const View inputs[] = {Rows(a, 1, kElements), Rows(b, 1, kElements),
                         Rows(c, 1, kElements)};
  const View output = Rows(out, 1, kElements);
  KernelArgs args;
  args.inputs = inputs;
  args.outputs = {&output, 1};
  args.program = &program;
  Report("silu(a) * b + c, 256 M halves", kElements * 8,
         Seconds([&](int) { cuda::Elementwise(args); }));
}

void RowKernels(int64_t columns) {
  struct Case {
    const char* name;
    void (*kernel)(const KernelArgs&);
    bool weight, bias;
    bool reduces;
  };
  static constexpr Case kCases[] = {
      {"softmax", cuda::Softmax, false, false, false},
      {"rms_norm", cuda::RmsNorm, true, false, false},
      {"layer_norm", cuda::LayerNorm, true, true, false},
      {"sum", cuda::Sum, false, false, true},
  };
  const int64_t rows = kElements / columns;
  const Bytes x = Halves(kElements), out = Halves(kElements);
  const Bytes weight = Halves(columns), bias = Halves(columns);
  for (const Case& c : kCases) {
    std::vector<View> inputs = {Rows(x, rows, columns)};
    if (c.weight) inputs.push_back({weight.get(), DType::F16, 1, {columns}, {1}});
    if (c.bias) inputs.push_back({bias.get(), DType::F16, 1, {columns}, {1}});
    View output = Rows(out, rows, columns);
    if (c.reduces) output = {out.get(), DType::F16, 1, {rows}, {1}};
    const std::vector<int64_t> ints =
        c.reduces ? std::vector<int64_t>{1, 1} : std::vector<int64_t>{1, 3};
    const std::vector<double> numbers = {1e-5};
    KernelArgs args;
    args.inputs = inputs;
    args.outputs = {&output, 1};
    args.ints = ints;
    args.numbers = numbers;
    char name[64];
    std::snprintf(name, sizeof(name), "%s, rows of %lld", c.name,
                  static_cast<long long>(columns));
    Report(name, kElements * (c.reduces ? 2 : 4),
           Seconds([&](int) { c.kernel(args); }));
  }
}

// As many matrices as do not fit a cache, alone or in lists of all of them.
void OneRow(DType dtype, int64_t n, int64_t k) {
  const int64_t bytes = BlockBytes(dtype, n * k);
  const int64_t matrices = (int64_t{1} << 30) / bytes;
  const Bytes w = Halves(matrices * bytes / 2 + 128);
  const Bytes x = Halves(k), y = Halves(n * matrices);
  cuda::StepList list;
  const auto add = [&](int64_t i) {
    const View inputs[] = {
        Rows(x, 1, k),
        {w.get() + i % matrices * bytes, dtype, 2, {k, n}, {1, k}}};
    View output = Rows(y, 1, n);
    output.data += i % matrices * n * 2;
    KernelArgs args;
    args.inputs = inputs;
    args.outputs = {&output, 1};
    if (!list.Add(OpId::Matmul, args)) std::printf("not for a list\n");
  };
  char name[64];
  std::snprintf(name, sizeof(name), "1 x %lld x %lld alone",
                static_cast<long long>(n), static_cast<long long>(k));
  const auto alone = [&](int i) {
    add(i);
    list.Flush();
  };
  Report(name, bytes, Seconds(alone, kShortLaunches));
  std::snprintf(name, sizeof(name), "1 x %lld x %lld in a list",
                static_cast<long long>(n), static_cast<long long>(k));
  Report(name, bytes * matrices, Seconds([&](int) {
           for (int64_t i = 0; i < matrices; ++i) add(i);
           list.Flush();
         }));
}

}  // namespace
}  // namespace tl

int main() {
  std::printf("%s\n", tl::cuda::Card().name.c_str());
  tl::Copy();
  tl::Chain();
  tl::RowKernels(4096);
  tl::RowKernels(32768);
  tl::OneRow(tl::DType::F16, 4096, 4096);
  tl::OneRow(tl::DType::F16, 11008, 4096);
}
