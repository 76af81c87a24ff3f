// Convolutions and pooling.
#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"
#include "coreml/windows.h"

namespace tl::coreml {
namespace {

PadType PadTypeOf(const MilCall& call) {
  const std::string_view type = call.Text("pad_type", "valid");
  if (type == "same") return PadType::kSame;
  if (type == "same_lower") return PadType::kSameLower;
  if (type == "valid" || type == "custom") return PadType::kGiven;
  Fail(ErrorKind::kInput, "pad_type '{}' is not known", type);
}

std::vector<int64_t> PerAxis(const MilCall& call, std::string_view name,
                             int axes) {
  const size_t count = static_cast<size_t>(axes);
  std::vector<int64_t> numbers =
      call.Ints(name, std::vector<int64_t>(count, 1));
  if (numbers.size() != count) {
    Fail(ErrorKind::kInput, "input '{}' has {} numbers for {} axes", name,
         numbers.size(), axes);
  }
  return numbers;
}

// Of this kernel, with the amounts that `pad` gives where pad_type says so.
Window WindowOf(const MilCall& call, std::vector<int64_t> kernel) {
  const size_t axes = kernel.size();
  Window window = WindowOfSize(kernel);
  window.stride = PerAxis(call, "strides", window.axes());
  window.dilation = PerAxis(call, "dilations", window.axes());
  if (call.Text("pad_type", "valid") != "custom") return window;
  const std::vector<int64_t> pad =
      call.Ints("pad", std::vector<int64_t>(2 * axes, 0));
  if (pad.size() != 2 * axes) {
    Fail(ErrorKind::kInput, "{} paddings for {} axes", pad.size(), axes);
  }
  for (size_t i = 0; i < axes; ++i) {
    window.pad_before[i] = pad[2 * i];
    window.pad_after[i] = pad[2 * i + 1];
  }
  return window;
}

std::vector<int64_t> KernelOf(const TensorRef& weight) {
  std::vector<int64_t> kernel;
  for (int axis = 2; axis < weight->rank(); ++axis) {
    kernel.push_back(weight->shape().dim(axis));
  }
  return kernel;
}

MilResult Conv(const MilCall& call) {
  const TensorRef x = call.Tensor("x"), w = call.Tensor("weight");
  Window window = WindowOf(call, KernelOf(w));
  PadLike(window, PadTypeOf(call), x->shape());
  return Convolution(call.lo(), x, w, call.OptionalTensor("bias"), window,
                     call.Int("groups", 1));
}

MilResult ConvTranspose(const MilCall& call) {
  const TensorRef x = call.Tensor("x"), w = call.Tensor("weight");
  Window window = WindowOf(call, KernelOf(w));
  CropLike(window, PadTypeOf(call));
  std::vector<int64_t> more;
  if (call.Has("output_shape")) {
    more = OutputPadding(window, x->shape(), call.Ints("output_shape"));
  }
  return ConvolutionTransposed(call.lo(), x, w, call.OptionalTensor("bias"),
                               window, call.Int("groups", 1), more);
}

Window PoolWindow(const MilCall& call, const TensorRef& x) {
  Window window = WindowOf(call, call.Ints("kernel_sizes"));
  PadLike(window, PadTypeOf(call), x->shape());
  if (call.Flag("ceil_mode", false)) CountUp(window, x->shape());
  return window;
}

MilResult AvgPool(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  const bool inside = call.Flag("exclude_padding_from_average", false);
  return AveragePool(call.lo(), x, PoolWindow(call, x),
                     inside ? Counted::kInside : Counted::kAll);
}

MilResult MaxPoolOf(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  return MaxPool(call.lo(), x, PoolWindow(call, x));
}

MilResult L2Pool(const MilCall& call) {
  const TensorRef x = call.Tensor("x");
  return L2PoolOf(call.lo(), x, PoolWindow(call, x));
}

constexpr MilOp kOps[] = {
    {"avg_pool", AvgPool}, {"conv", Conv},
    {"conv_transpose", ConvTranspose},
    {"l2_pool", L2Pool},   {"max_pool", MaxPoolOf},
};

}  // namespace

std::span<const MilOp> WindowOps() { return kOps; }

}  // namespace tl::coreml
