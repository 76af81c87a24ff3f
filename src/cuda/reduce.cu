// Reductions to float and from int32 to int32. Stretches of a few dozen
// elements are summed in f32, stretches are put together in double, and the
// result is rounded once. argmax is in reduce_arg.cu.
#include <cmath>
#include <limits>

#include "cuda/kernels.h"
#include "cuda/reduce.cuh"

namespace tl::cuda {
namespace {

// What becomes of a total, and where it goes.
struct FloatResult {
  void* to;
  bool half;
  bool root;
  double divisor;
};

TL_DEVICE void StoreFloat(double total, const FloatResult& result, int64_t at) {
  const double value = result.root ? sqrt(total) : total / result.divisor;
  if (result.half) {
    static_cast<uint16_t*>(result.to)[at] = ToHalfFromDouble(value);
  } else {
    static_cast<float*>(result.to)[at] = static_cast<float>(value);
  }
}

struct FloatOp {
  static constexpr bool kIntsOnly = false;

  TL_DEVICE static void Store(double total, const FloatResult& result,
                              int64_t at) {
    StoreFloat(total, result, at);
  }
};

struct SumOp : FloatOp {
  using Part = float;
  using Total = double;
  TL_DEVICE static Part Start() { return 0; }
  template <class T>
  TL_DEVICE static Part Add(Part sum, T x, int64_t, float) {
    return sum + ToFloat(x);
  }
  TL_DEVICE static Total Join(Total a, Total b) { return a + b; }
};

// Of distances from the center.
struct SquaresOp : SumOp {
  template <class T>
  TL_DEVICE static Part Add(Part sum, T x, int64_t, float center) {
    const float distance = ToFloat(x) - center;
    return sum + distance * distance;
  }
};

// The product of a few f32 numbers may leave f32's range and come back.
struct ProductOp : FloatOp {
  using Part = double;
  using Total = double;
  TL_DEVICE static Part Start() { return 1; }
  template <class T>
  TL_DEVICE static Part Add(Part product, T x, int64_t, float) {
    return product * ToFloat(x);
  }
  TL_DEVICE static Total Join(Total a, Total b) { return a * b; }
};

// NaN wins.
template <bool largest>
struct ExtremeOp : FloatOp {
  using Part = float;
  using Total = float;
  TL_DEVICE static Part Start() { return largest ? -INFINITY : INFINITY; }
  template <class T>
  TL_DEVICE static Part Add(Part best, T x, int64_t, float) {
    return Join(best, ToFloat(x));
  }
  TL_DEVICE static Total Join(Total a, Total b) {
    return a != a || (largest ? a > b : a < b) ? a : b;
  }
};

// Exact, wrapping as int32 arithmetic does.
struct IntOp {
  using Part = uint32_t;
  using Total = uint32_t;
  static constexpr bool kIntsOnly = true;

  TL_DEVICE static void Store(uint32_t total, int32_t* result, int64_t at) {
    result[at] = static_cast<int32_t>(total);
  }
};

struct IntSumOp : IntOp {
  TL_DEVICE static Part Start() { return 0; }
  TL_DEVICE static Part Add(Part sum, int32_t x, int64_t, float) {
    return sum + static_cast<uint32_t>(x);
  }
  TL_DEVICE static Total Join(Total a, Total b) { return a + b; }
};

struct IntSquaresOp : IntSumOp {
  TL_DEVICE static Part Add(Part sum, int32_t x, int64_t, float) {
    return sum + static_cast<uint32_t>(x) * static_cast<uint32_t>(x);
  }
};

struct IntProductOp : IntOp {
  TL_DEVICE static Part Start() { return 1; }
  TL_DEVICE static Part Add(Part product, int32_t x, int64_t, float) {
    return product * static_cast<uint32_t>(x);
  }
  TL_DEVICE static Total Join(Total a, Total b) { return a * b; }
};

template <bool largest>
struct IntExtremeOp : IntOp {
  TL_DEVICE static Part Start() {
    return static_cast<uint32_t>(largest ? INT32_MIN : INT32_MAX);
  }
  TL_DEVICE static Part Add(Part best, int32_t x, int64_t, float) {
    return Join(best, static_cast<uint32_t>(x));
  }
  TL_DEVICE static Total Join(Total a, Total b) {
    const bool above = static_cast<int32_t>(a) > static_cast<int32_t>(b);
    return above == largest ? a : b;
  }
};

ReduceShape ShapeOf(const KernelArgs& args) {
  return ReduceShapeOf(args.inputs[0], args.ints[0], args.ints[1]);
}

template <class Op>
void ReduceFloat(const KernelArgs& args, double divisor = 1,
                 bool root = false) {
  const View& to = args.outputs[0];
  TL_CHECK(to.dtype != DType::I32);
  Reduce<Op>(args.inputs[0], ShapeOf(args), nullptr,
             FloatResult{to.data, to.dtype == DType::F16, root, divisor});
}

template <class Op>
void ReduceInt(const KernelArgs& args) {
  Reduce<Op>(args.inputs[0], ShapeOf(args), nullptr,
             args.outputs[0].as<int32_t>());
}

bool ToInt(const KernelArgs& args) {
  return args.outputs[0].dtype == DType::I32;
}

// Of no elements there is a sum, but no largest one.
void CheckNotEmpty(const KernelArgs& args) {
  TL_CHECK(ShapeOf(args).reduced > 0);
}

}  // namespace

void Sum(const KernelArgs& args) {
  if (ToInt(args)) return ReduceInt<IntSumOp>(args);
  ReduceFloat<SumOp>(args);
}

void Mean(const KernelArgs& args) {
  ReduceFloat<SumOp>(args, static_cast<double>(ShapeOf(args).reduced));
}

void Prod(const KernelArgs& args) {
  if (ToInt(args)) return ReduceInt<IntProductOp>(args);
  ReduceFloat<ProductOp>(args);
}

void Max(const KernelArgs& args) {
  CheckNotEmpty(args);
  if (ToInt(args)) return ReduceInt<IntExtremeOp<true>>(args);
  ReduceFloat<ExtremeOp<true>>(args);
}

void Min(const KernelArgs& args) {
  CheckNotEmpty(args);
  if (ToInt(args)) return ReduceInt<IntExtremeOp<false>>(args);
  ReduceFloat<ExtremeOp<false>>(args);
}

void SumSquares(const KernelArgs& args) {
  if (ToInt(args)) return ReduceInt<IntSquaresOp>(args);
  ReduceFloat<SquaresOp>(args);
}

void Norm(const KernelArgs& args) { ReduceFloat<SquaresOp>(args, 1, true); }

void Var(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const View& to = args.outputs[0];
  const ReduceShape shape = ShapeOf(args);
  const double count = static_cast<double>(shape.reduced);
  const auto means =
      Allocate(shape.results() * static_cast<int64_t>(sizeof(float)));
  auto* centers = reinterpret_cast<float*>(means.get());
  Reduce<SumOp>(x, shape, nullptr, FloatResult{centers, false, false, count});
  Reduce<SquaresOp>(x, shape, centers,
                    FloatResult{to.data, to.dtype == DType::F16, false,
                                std::max(0.0, count - args.numbers[0])});
}

}  // namespace tl::cuda
