// Quantising 2.2 GB of float16 from memory to memory, on all threads, as a
// conversion does it but for the files: GB of float16 read a second. With
// arguments only these types. bench/quantize.py sets it beside NumPy.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/parallel.h"
#include "bench/ratio_table.h"
#include "format/quantize.h"
#include "format/widen.h"
#include "tensor/tensor.h"

namespace tl {
namespace {

constexpr int64_t kElements = int64_t{1100} << 20;
constexpr int64_t kSlab = 64 << 10;
constexpr int kRounds = 5;

// Repeats a stretch of nearly normal numbers.
Tensor Halves() {
  Tensor tensor = MakeTensor(DType::F16, Shape({Dim(kElements)}));
  std::vector<uint16_t> stretch(kSlab);
  uint32_t state = 1;
  for (uint16_t& half : stretch) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
      state = state * 1664525 + 1013904223;
      sum += static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
    }
    half = FloatToHalf(sum);
  }
  ParallelFor(kElements, kSlab, [&](int64_t begin, int64_t end) {
    std::copy_n(stretch.data(), end - begin, tensor.as<uint16_t>() + begin);
  });
  return tensor;
}

void QuantizeAll(DType dtype, const Tensor& source, const Tensor& target) {
  ParallelFor(kElements, kSlab, [&](int64_t begin, int64_t end) {
    thread_local std::vector<float> values(kSlab);
    const auto floats = std::span(values).first(end - begin);
    const auto* from = source.data.get() + 2 * begin;
    Widen(DType::F16, {from, static_cast<size_t>(2 * (end - begin))}, floats);
    Quantize(dtype, floats,
             {target.data.get() + BlockBytes(dtype, begin),
              static_cast<size_t>(BlockBytes(dtype, end - begin))});
  });
}

}  // namespace
}  // namespace tl

int main(int argc, char** argv) {
  using namespace tl;
  std::vector<std::string> names(argv + 1, argv + argc);
  if (names.empty()) names = {"Q8_0", "Q4_0", "Q5_1", "Q4_K", "Q6_K"};
  const Tensor source = Halves();
  for (const std::string& name : names) {
    for (uint32_t number = 0; number < 64; ++number) {
      const auto dtype = FindGgufDType(number);
      if (!dtype || Info(*dtype).name != name) continue;
      const Tensor target = MakeTensor(*dtype, Shape({Dim(kElements)}));
      std::vector<double> rates;
      for (int round = -1; round < kRounds; ++round) {
        const double seconds =
            bench::SecondsOf([&] { QuantizeAll(*dtype, source, target); });
        if (round >= 0) rates.push_back(2.0 * kElements / seconds * 1e-9);
      }
      std::printf("%s %.3f GB/s\n", name.c_str(), bench::Median(rates));
    }
  }
}
