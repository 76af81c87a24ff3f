// Matrix products and attention beside their yardsticks, in the same run:
// OpenBLAS's sgemm in f32 for many rows, the sum of as many bytes for few rows.
// Our operands are f16. Figures in bench/README.md.
#include <cblas.h>

#include <cstdio>
#include <string>
#include <tuple>
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
// So many weights that none is found in a cache the next time.
constexpr int64_t kRotatingBytes = int64_t{256} << 20;

Tensor Halves(int64_t count, uint32_t seed) {
  Tensor tensor = MakeTensor(DType::F16, Shape({Dim(count)}));
  uint16_t* data = tensor.as<uint16_t>();
  ParallelFor(count, 256 << 10, [&](int64_t begin, int64_t end) {
    uint32_t state = static_cast<uint32_t>(begin) * 2654435761u + seed;
    for (int64_t i = begin; i < end; ++i) {
      state = state * 1664525 + 1013904223;
      data[i] = FloatToHalf(static_cast<int32_t>(state) * 0x1p-31f);
    }
  });
  return tensor;
}

View Strided(const Tensor& tensor, const std::vector<int64_t>& dims,
             const std::vector<int64_t>& strides) {
  View view = {};
  view.data = tensor.data.get();
  view.dtype = tensor.dtype;
  view.rank = static_cast<int>(dims.size());
  std::copy(dims.begin(), dims.end(), view.dims);
  std::copy(strides.begin(), strides.end(), view.strides);
  return view;
}

enum class Weights { kInOut, kOutIn };

struct Product {
  int64_t m, k, n;
  Weights order;

  std::string name() const {
    return std::to_string(m) + " x " + std::to_string(k) + " x " +
           std::to_string(n) + (order == Weights::kInOut ? " @ w" : " @ w.T");
  }
  double flops() const { return 2.0 * m * k * n; }
  void Run(const Tensor& x, const Tensor& w, const Tensor& y) const {
    const bool in_out = order == Weights::kInOut;
    const View inputs[] = {
        Strided(x, {m, k}, {k, 1}),
        Strided(w, {k, n}, {in_out ? n : 1, in_out ? 1 : k})};
    const View output = Strided(y, {m, n}, {n, 1});
    KernelArgs args;
    args.inputs = inputs;
    args.outputs = {&output, 1};
    cpu::Matmul(args);
  }
};

void ManyRows(int64_t m, int64_t k, int64_t n) {
  const Tensor x = Halves(m * k, 1), w = Halves(k * n, 2);
  const Tensor y = MakeTensor(DType::F16, Shape({Dim(m), Dim(n)}));
  std::vector<float> a(m * k, 0.5f), b(k * n, 0.25f), c(m * n);
  openblas_set_num_threads(Threads());
  const Product in_out = {m, k, n, Weights::kInOut};
  const Product out_in = {m, k, n, Weights::kOutIn};
  const auto sgemm = [&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a.data(),
                k, b.data(), n, 0, c.data(), n);
  };
  const double flops = in_out.flops();
  bench::PrintRatios({{"OpenBLAS sgemm", flops, sgemm},
                      {in_out.name(), flops, [&] { in_out.Run(x, w, y); }},
                      {out_in.name(), flops, [&] { out_in.Run(x, w, y); }}},
                     kRounds, "GFLOP/s");
}

void FewRows(int64_t k, int64_t n) {
  std::vector<Tensor> weights;
  for (int64_t sum = 0; sum < kRotatingBytes; sum += k * n * 2) {
    weights.push_back(Halves(k * n, static_cast<uint32_t>(sum)));
  }
  size_t turn = 0;
  const auto next = [&]() -> const Tensor& {
    return weights[turn++ % weights.size()];
  };
  const Tensor x = Halves(8 * k, 1), y = Halves(8 * n, 2);
  const double bytes = 2.0 * k * n;
  std::vector<Case> cases = {{"read and add", bytes, [&] { bench::ReadSum(next()); }}};
  for (int64_t m : {1, 2, 4, 8}) {
    for (Weights order : {Weights::kOutIn, Weights::kInOut}) {
      const Product product = {m, k, n, order};
      cases.push_back(
          {product.name(), bytes, [&, product] { product.Run(x, next(), y); }});
    }
  }
  bench::PrintRatios(cases, 4 * kRounds);
}

struct Heads {
  int64_t queries, heads, keys, kv_heads, dim;
};

void Attend(const Heads& h, const Tensor& q, const Tensor& k, const Tensor& v,
            const Tensor& out) {
  const auto view = [&](const Tensor& tensor, int64_t seq, int64_t heads) {
    return Strided(tensor, {seq, heads, h.dim}, {heads * h.dim, h.dim, 1});
  };
  const View inputs[] = {view(q, h.queries, h.heads),
                         view(k, h.keys, h.kv_heads),
                         view(v, h.keys, h.kv_heads)};
  const View output = view(out, h.queries, h.heads);
  const int64_t ints[] = {1, 0, 0};  // causal
  const double numbers[] = {0.125, 0, 0};  // scale
  KernelArgs args;
  args.inputs = inputs;
  args.outputs = {&output, 1};
  args.ints = ints;
  args.numbers = numbers;
  cpu::Attention(args);
}

// Operations of the visible half, beside those of a product.
void Attention(const Heads& h) {
  const Tensor q = Halves(h.queries * h.heads * h.dim, 1);
  const Tensor k = Halves(h.keys * h.kv_heads * h.dim, 2);
  const Tensor v = Halves(h.keys * h.kv_heads * h.dim, 3);
  const Tensor out = Halves(q.size(), 4);
  const Product product = {1024, 1024, 1024, Weights::kInOut};
  const Tensor x = Halves(1 << 20, 5), w = Halves(1 << 20, 6),
               y = Halves(1 << 20, 7);
  const std::string name =
      std::to_string(h.queries) + " queries, " + std::to_string(h.heads) + "/" +
      std::to_string(h.kv_heads) + " heads of " + std::to_string(h.dim);
  bench::PrintRatios(
      {{product.name(), product.flops(), [&] { product.Run(x, w, y); }},
       {name, 2.0 * h.queries * h.heads * h.keys * h.dim,
        [&] { Attend(h, q, k, v, out); }}},
      kRounds, "GFLOP/s");
}

}  // namespace
}  // namespace tl

int main() {
  std::printf("%d threads\n\n", tl::Threads());
  tl::ManyRows(1024, 1024, 1024);
  tl::ManyRows(2048, 2048, 2048);
  tl::ManyRows(512, 2048, 5632);
  tl::ManyRows(32, 4096, 4096);
  tl::FewRows(4096, 4096);
  tl::Attention({512, 32, 512, 4, 64});
  tl::Attention({2048, 16, 2048, 16, 128});
}
