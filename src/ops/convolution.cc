#include "ops/convolution.h"

#include <algorithm>

#include "base/error.h"
#include "ops/build.h"

namespace tl {
namespace {

// Spatial axes of x. Fails where they are not as many as the window's.
int SpatialAxes(std::string_view operation, const TensorRef& x,
                const Window& window) {
  const int axes = window.axes();
  if (axes < 1 || axes > kMaxWindowAxes || x->rank() != axes + 2) {
    Fail(ErrorKind::kProgram,
         "{}: x of shape {} and a window of {} axes; expected [n, channels, ..] "
         "with 1 to {} more axes, as many as the window's",
         operation, x->shape().ToString(), axes, kMaxWindowAxes);
  }
  return axes;
}

void RequireGroups(std::string_view operation, int64_t groups, Dim channels,
                   const TensorRef& x) {
  if (groups < 1) {
    Fail(ErrorKind::kProgram, "{}: {} groups; expected 1 or more", operation,
         groups);
  }
  if (channels.known() && channels.value() % groups != 0) {
    Fail(ErrorKind::kProgram, "{}: {} channels of {} do not divide into {} "
         "groups", operation, channels.value(), x->shape().ToString(), groups);
  }
}

void RequireWeights(std::string_view operation, const TensorRef& x,
                    const TensorRef& w, int64_t groups, Dim channels) {
  if (w->rank() != x->rank()) {
    Fail(ErrorKind::kProgram, "{}: weights of shape {} for x of shape {}; "
         "expected as many axes", operation, w->shape().ToString(),
         x->shape().ToString());
  }
  if (Clash(x->shape()[1], channels)) {
    Fail(ErrorKind::kProgram,
         "{}: given {} groups, weights of shape {} take {} channels; x of shape "
         "{} has {}",
         operation, groups, w->shape().ToString(), channels.ToString(),
         x->shape().ToString(), x->shape()[1].ToString());
  }
}

void RequireBias(std::string_view operation, const TensorRef& bias,
                 Dim channels) {
  if (!bias) return;
  if (bias->rank() != 1 || Clash(bias->shape()[0], channels)) {
    Fail(ErrorKind::kProgram,
         "{}: a bias of shape {} for {} channels; expected [{}]", operation,
         bias->shape().ToString(), channels.ToString(), channels.ToString());
  }
}

}  // namespace

TensorRef Convolution(Lowering& lo, const TensorRef& x, const TensorRef& w,
                      const TensorRef& bias, const Window& window,
                      int64_t groups) {
  constexpr std::string_view kName = "convolution";
  const int axes = SpatialAxes(kName, x, window);
  RequireGroups(kName, groups, x->shape()[1], x);
  RequireWeights(kName, x, w, groups,
                 w->rank() < 2 ? Dim() : w->shape()[1] * Dim(groups));
  RequireBias(kName, bias, w->shape()[0]);
  if (w->shape()[0].known() && w->shape()[0].value() % groups != 0) {
    Fail(ErrorKind::kProgram, "{}: {} output channels of {} do not divide into "
         "{} groups", kName, w->shape()[0].value(), w->shape().ToString(),
         groups);
  }
  Window whole = window;
  whole.kernel.clear();
  for (int axis = 0; axis < axes; ++axis) {
    whole.kernel.push_back(w->shape()[axis + 2].code());
  }
  std::vector<TensorRef> inputs = {x, w};
  if (bias) inputs.push_back(bias);
  return lo.Apply(OpId::Convolution, inputs,
                  {WindowInts(kName, groups, whole), {}});
}

namespace {

// A transposed convolution is one of stride 1 over x that computes, for each
// element of x, the s results between it and the next as s channels, which are
// then laid out side by side. Result m * s + r is the sum over q of
// x[m - q] * w[q * s + r], so channel r has every s-th weight, from the last.
// No zeros are multiplied but those that fill the kernel up to a multiple of s.
class SubPixels {
 public:
  SubPixels(Lowering& lo, const TensorRef& x, const TensorRef& w,
            const Window& window, int64_t groups,
            std::span<const int64_t> output_padding)
      : lo_(lo), x_(x), w_(w), groups_(groups), axes_(window.axes()) {
    for (int i = 0; i < axes_; ++i) {
      if (!w->shape()[i + 2].known()) throw NotKnown{};
      WindowAxis axis = {w->shape().dim(i + 2), window.stride[i],
                         window.dilation[i], window.pad_before[i],
                         window.pad_after[i], 0};
      axis.overhang = output_padding.empty() ? 0 : output_padding[i];
      cuts_.push_back(CutOf(axis, i + 2));
      cells_ *= axis.stride;
    }
  }

  TensorRef Apply(const TensorRef& bias) {
    const std::vector<int64_t> ones(axes_, 1);
    Window plain = {{}, ones, ones, {}, {}};
    for (const Cut& cut : cuts_) {
      plain.pad_before.push_back(cut.pad_before);
      plain.pad_after.push_back(cut.pad_after);
    }
    const TensorRef y = Convolution(lo_, x_, Weights(),
                                    bias ? Repeated(bias) : nullptr, plain,
                                    groups_);
    return Crop(Interleave(y));
  }

 private:
  struct Cut {
    int64_t kernel, stride, dilation;
    int64_t taps;                   // kernel elements a channel has
    int64_t pad_before, pad_after;  // of x
    int64_t start;                  // of the result, in what is computed
    Dim length;                     // of the result
  };

  Cut CutOf(const WindowAxis& axis, int i) const {
    const auto ceil_div = [](int64_t n, int64_t step) {
      return n <= 0 ? 0 : (n + step - 1) / step;
    };
    const int64_t s = axis.stride, span = axis.span();
    Cut cut = {axis.kernel, s, axis.dilation, ceil_div(span, s), 0, 0, 0, {}};
    const int64_t skipped = std::min(axis.pad_before / s, cut.taps - 1);
    cut.pad_before = cut.taps - 1 - skipped;
    cut.start = axis.pad_before - skipped * s;
    const int64_t end = span - axis.pad_after + axis.overhang;
    cut.pad_after = std::max<int64_t>(ceil_div(end, s) - 1, 0);
    const Dim size = x_->shape()[i];
    const int64_t lost = axis.pad_before + axis.pad_after;
    const Dim full = (size.known() && size.value() == 0)
                         ? Dim(0)
                         : (size - Dim(1)) * Dim(s) + Dim(span + axis.overhang);
    if (full.known() && full.value() < lost) {
      Fail(ErrorKind::kProgram,
           "convolution: a transposed kernel of {} over axis {} of {} gives {}; "
           "a padding of {} and {} leaves nothing",
           axis.kernel, i, x_->shape().ToString(), full.value(),
           axis.pad_before, axis.pad_after);
    }
    cut.length = full - Dim(lost);
    return cut;
  }

  // w with its kernel spread by the dilation and filled up to taps * stride.
  TensorRef Spread() const {
    const auto fits = [](const Cut& cut) {
      return cut.dilation == 1 && cut.kernel == cut.taps * cut.stride;
    };
    if (std::all_of(cuts_.begin(), cuts_.end(), fits)) return w_;
    Shape full = w_->shape();
    std::vector<int64_t> starts(full.rank(), 0), steps(full.rank(), 1);
    for (int i = 0; i < axes_; ++i) {
      full[i + 2] = cuts_[i].taps * cuts_[i].stride;
      steps[i + 2] = cuts_[i].dilation;
    }
    const TensorRef zero =
        Cast(lo_, lo_.Number(0, DType::F32), w_->dtype());
    return Assign(lo_, BroadcastTo(lo_, zero, full), starts, steps,
                  w_->shape(), w_);
  }

  // [g, c, o, (taps, s)..] as [g * o * s.., c, taps..]. The axis of groups is
  // left out where there is one, for three axes would be too many with it.
  TensorRef Weights() const {
    const int lead = groups_ == 1 ? 0 : 1;
    const Dim channels = DivideExact(w_->shape()[0], Dim(groups_));
    Shape split;
    if (lead) split.Append(groups_);
    split.Append(channels);
    split.Append(w_->shape()[1]);
    for (const Cut& cut : cuts_) {
      split.Append(cut.taps);
      split.Append(cut.stride);
    }
    TensorRef y = Reshape(lo_, Spread(), split);
    std::vector<int> order;
    if (lead) order.push_back(0);
    order.push_back(lead + 1);
    for (int i = 0; i < axes_; ++i) order.push_back(lead + 3 + 2 * i);
    order.push_back(lead);
    for (int i = 0; i < axes_; ++i) {
      const int axis = lead + 2 + 2 * i;
      order.push_back(axis);
      const int64_t taps = cuts_[i].taps;
      if (taps > 1) y = Slice(lo_, y, axis, taps - 1, taps, -1);
    }
    Shape joined{w_->shape()[1] * Dim(groups_ * cells_), channels};
    for (const Cut& cut : cuts_) joined.Append(cut.taps);
    return Reshape(lo_, Permute(lo_, y, order), joined);
  }

  TensorRef Repeated(const TensorRef& bias) const {
    const Dim n = bias->shape()[0];
    return Reshape(
        lo_,
        BroadcastTo(lo_, Unsqueeze(lo_, bias, 1), Shape{n, Dim(cells_)}),
        Shape{n * Dim(cells_)});
  }

  // [n, o * s.., m..] as [n, o, (m * s)..].
  TensorRef Interleave(const TensorRef& y) const {
    if (cells_ == 1) return y;
    Shape split{y->shape()[0], w_->shape()[1] * Dim(groups_)};
    Shape joined = split;
    std::vector<int> order = {0, 1};
    for (const Cut& cut : cuts_) split.Append(cut.stride);
    for (int i = 0; i < axes_; ++i) {
      split.Append(y->shape()[i + 2]);
      order.push_back(2 + axes_ + i);
      order.push_back(2 + i);
      joined.Append(y->shape()[i + 2] * Dim(cuts_[i].stride));
    }
    return Reshape(lo_, Permute(lo_, Reshape(lo_, y, split), order), joined);
  }

  TensorRef Crop(TensorRef y) const {
    for (int i = 0; i < axes_; ++i) {
      y = Slice(lo_, y, i + 2, cuts_[i].start, cuts_[i].length);
    }
    return y;
  }

  Lowering& lo_;
  const TensorRef& x_;
  const TensorRef& w_;
  int64_t groups_;
  int axes_;
  std::vector<Cut> cuts_;
  int64_t cells_ = 1;  // results per element of x
};

}  // namespace

TensorRef ConvolutionTransposed(Lowering& lo, const TensorRef& x,
                                const TensorRef& w, const TensorRef& bias,
                                const Window& window, int64_t groups,
                                std::span<const int64_t> output_padding) {
  constexpr std::string_view kName = "convolution";
  const int axes = SpatialAxes(kName, x, window);
  RequireGroups(kName, groups, x->shape()[1], x);
  RequireWeights(kName, x, w, groups, w->rank() < 2 ? Dim() : w->shape()[0]);
  const Dim each = w->shape()[1];
  RequireBias(kName, bias, each * Dim(groups));
  Window checked = window;
  checked.kernel.assign(axes, 1);
  if (!output_padding.empty()) {
    checked.overhang.assign(output_padding.begin(), output_padding.end());
  }
  WindowInts(kName, groups, checked);
  if (axes < kMaxWindowAxes || groups == 1) {
    return SubPixels(lo, x, w, window, groups, output_padding).Apply(bias);
  }
  const Dim channels = DivideExact(x->shape()[1], Dim(groups));
  if (!channels.known() || !each.known()) throw NotKnown{};
  std::vector<TensorRef> parts;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t from = g * channels.value(), to = g * each.value();
    parts.push_back(ConvolutionTransposed(
        lo, Slice(lo, x, 1, from, channels), Slice(lo, w, 0, from, channels),
        bias ? Slice(lo, bias, 0, to, each) : nullptr, window, 1,
        output_padding));
  }
  return Concat(lo, std::move(parts), 1);
}

TensorRef MaxPool(Lowering& lo, const TensorRef& x, const Window& window) {
  SpatialAxes("max_pool", x, window);
  return lo.Apply(OpId::MaxPool, {x}, {WindowInts("max_pool", 0, window), {}});
}

TensorRef AveragePool(Lowering& lo, const TensorRef& x, const Window& window,
                      Counted counted) {
  SpatialAxes("average_pool", x, window);
  return lo.Apply(
      OpId::AveragePool, {x},
      {WindowInts("average_pool", counted == Counted::kAll, window), {}});
}

namespace {

// [size, parts]: the share that element j has in the mean of part i. It is in
// that part where j * parts < (i + 1) * size and (j + 1) * parts > i * size.
TensorRef Shares(Lowering& lo, int64_t size, int64_t parts) {
  constexpr int64_t kLargest = INT32_MAX;
  if ((size + 1) * (parts + 1) > kLargest) {
    Fail(ErrorKind::kProgram, "adaptive_avg_pool2d: {} parts of {} elements; "
         "expected a product below 2^31", parts, size);
  }
  const auto multiples = [&](int64_t count, int64_t start, int64_t step) {
    return Iota(lo, count, DType::I32, double(start), double(step));
  };
  const auto column = [&](const TensorRef& v) { return Unsqueeze(lo, v, 1); };
  const TensorRef inside = Binary(
      lo, OpId::LogicalAnd,
      Binary(lo, OpId::Less, column(multiples(size, 0, parts)),
             multiples(parts, size, size)),
      Binary(lo, OpId::Greater, column(multiples(size, parts, parts)),
             multiples(parts, 0, size)));
  const TensorRef counts = Reduce(lo, OpId::Sum, inside, {0});
  return Binary(lo, OpId::Div, Cast(lo, inside, DType::F32),
                Cast(lo, counts, DType::F32));
}

}  // namespace

TensorRef AdaptiveAveragePool(Lowering& lo, const TensorRef& x,
                              std::span<const int64_t> sizes) {
  const int axes = static_cast<int>(sizes.size());
  const int first = x->rank() - axes;
  bool divides = true;
  std::vector<int64_t> kernel;
  for (int i = 0; i < axes; ++i) {
    if (!x->shape()[first + i].known()) throw NotKnown{};
    const int64_t size = x->shape().dim(first + i);
    divides = divides && sizes[i] > 0 && size > 0 && size % sizes[i] == 0;
    kernel.push_back(sizes[i] > 0 ? size / sizes[i] : 0);
  }
  if (divides) {
    Window window = PlainWindow(kernel);
    window.stride = kernel;
    return AveragePool(lo, x, window, Counted::kAll);
  }
  TensorRef y = Cast(lo, x, DType::F32);
  for (int i = 0; i < axes; ++i) {
    const int64_t size = x->shape().dim(first + i);
    if (size == sizes[i]) continue;
    y = OnLastAxis(lo, y, first + i, [&](const TensorRef& rows) {
      return ExactProduct(lo, rows, Shares(lo, size, sizes[i]));
    });
  }
  return Cast(lo, y, x->dtype() == DType::F32 ? DType::F32 : DType::F16);
}

}  // namespace tl
