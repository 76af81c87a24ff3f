#include <algorithm>
#include <optional>
#include <vector>

#include "base/half.h"
#include "base/parallel.h"
#include "cpu/elementwise.h"
#include "cpu/kernels.h"
#include "cpu/window_problem.h"

namespace tl::cpu {
namespace {

float At(const View& view, int64_t i) {
  return view.dtype == DType::F16 ? HalfToFloat(view.as<uint16_t>()[i])
                                  : view.as<float>()[i];
}

}  // namespace

void Convolution(const KernelArgs& args) {
  const View &x = args.inputs[0], &w = args.inputs[1];
  const size_t more = args.program == nullptr ? 0 : args.program->inputs - 1;
  const size_t own = args.inputs.size() - more;
  View y = args.outputs[0];
  const WindowProblem problem = WindowProblemOf(x, y, args.ints);
  const auto& [p, q, r] = problem.window;
  const int64_t groups = args.ints[0], outs = w.dims[0], ins = w.dims[1];
  std::optional<ElementwiseGroup> epilogue;
  if (args.program != nullptr) {
    epilogue.emplace(*args.program, args.inputs.subspan(own), args.outputs);
  }
  const int64_t size = problem.to_plane();
  ParallelFor(x.dims[0] * outs, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(size);
    std::vector<uint16_t> halves(size);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i % outs, image = i / outs;
      const int64_t group = o / (outs / groups);
      for (int64_t at = 0; at < size; ++at) {
        const Inside c = InsideOf(r, problem.from[2], at % problem.to[2]);
        const Inside b = InsideOf(q, problem.from[1],
                                  at / problem.to[2] % problem.to[1]);
        const Inside a = InsideOf(p, problem.from[0],
                                  at / problem.to[2] / problem.to[1]);
        float sum = 0;
        for (int64_t in = 0; in < ins; ++in) {
          const int64_t plane =
              (image * x.dims[1] + group * ins + in) * problem.from_plane();
          const int64_t kernel = (o * ins + in) * p.kernel;
          for (int64_t u = a.first; u < a.last; ++u) {
            for (int64_t v = b.first; v < b.last; ++v) {
              for (int64_t t = c.first; t < c.last; ++t) {
                const int64_t from =
                    plane + ((a.start + u * p.dilation) * problem.from[1] +
                             b.start + v * q.dilation) *
                                problem.from[2] +
                    c.start + t * r.dilation;
                sum += At(x, from) *
                       At(w, ((kernel + u) * q.kernel + v) * r.kernel + t);
              }
            }
          }
        }
        sums[at] = own > 2 ? sum + At(args.inputs[2], o) : sum;
        halves[at] = FloatToHalf(sums[at]);
      }
      const auto* rounded =
          args.dtype == DType::F16
              ? reinterpret_cast<const std::byte*>(halves.data())
              : reinterpret_cast<const std::byte*>(sums.data());
      const int64_t bytes = ElementBytes(args.dtype);
      if (epilogue) {
        epilogue->RunFrom(rounded, i * size, (i + 1) * size);
      } else {
        std::copy_n(rounded, size * bytes, y.data + i * size * bytes);
      }
    }
  });
}

}  // namespace tl::cpu
