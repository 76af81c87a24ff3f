// Functions that make tensors, and the conversions between types.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/build.h"
#include "ops/functions.h"

namespace tl::functions {
namespace {

TensorRef Filled(const Call& call, const TensorRef& value, const Shape& shape,
                 DType dtype) {
  Lowering& lo = call.lowering();
  return BroadcastTo(lo, Cast(lo, value, dtype), shape);
}

Shape ShapeOf(const Call& call, size_t i) {
  const Call::SizeList sizes = call.Sizes(i);
  call.RequireGiven(sizes, i);
  return Shape(sizes.dims);
}

// An argument whose being an int or a float matters; a tensor of one element
// is read.
Argument PlainNumber(const Call& call, size_t i) {
  const Argument& a = call[i];
  if (!a.is(Argument::Kind::kTensor) || a.tensor->rank() > 0) return a;
  const double number = call.lowering().Read(a.tensor);
  return a.tensor->dtype() == DType::I32
             ? Argument::Int(static_cast<int64_t>(number))
             : Argument::Float(number);
}

FunctionResult Random(const Call& call, OpId op) {
  const uint64_t seed =
      call.has(1) ? call.Int(1) : call.lowering().NextSeed();
  return RandomTensor(call.lowering(), op, seed, ShapeOf(call, 0),
                      call.Type(2, DType::F16));
}

// ones where row - column compares with `diagonal`, over the last two axes.
TensorRef DiagonalMask(Lowering& lo, Dim rows, Dim columns, OpId comparison,
                       int64_t diagonal) {
  const TensorRef row = Unsqueeze(lo, Iota(lo, rows, DType::I32), 1);
  const TensorRef column = Iota(lo, columns, DType::I32);
  return Binary(lo, comparison, column,
                WithInt(lo, OpId::Add, row, diagonal));
}

FunctionResult Triangle(const Call& call, OpId comparison) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0);
  if (x->rank() < 2) {
    Fail(ErrorKind::kProgram, "{}: x of shape {} has no matrix; rank 2 or more "
         "is needed", call.function(), x->shape().ToString());
  }
  const TensorRef mask =
      DiagonalMask(lo, x->shape()[x->rank() - 2], x->shape()[x->rank() - 1],
                   comparison, call.Int(1));
  return lo.Apply(OpId::Where, {mask, x, lo.Number(0, DType::I32)});
}

}  // namespace

FunctionResult Zeros(const Call& call) {
  return Filled(call, call.lowering().Number(0, DType::F32), ShapeOf(call, 0),
                call.Type(1, DType::F16));
}

FunctionResult Ones(const Call& call) {
  return Filled(call, call.lowering().Number(1, DType::F32), ShapeOf(call, 0),
                call.Type(1, DType::F16));
}

FunctionResult Full(const Call& call) {
  return Filled(call, call.Tensor(1), ShapeOf(call, 0),
                call.Type(2, DType::F16));
}

FunctionResult Rand(const Call& call) { return Random(call, OpId::Rand); }
FunctionResult Randn(const Call& call) { return Random(call, OpId::Randn); }

FunctionResult Arange(const Call& call) {
  using Kind = Argument::Kind;
  const bool one = !call.has(1);
  const Argument start = one ? Argument::Int(0) : PlainNumber(call, 0);
  const Argument end = PlainNumber(call, one ? 0 : 1);
  const Argument step = PlainNumber(call, 2);
  if (one && end.is(Kind::kInt) && !end.dim.known()) {
    return Iota(call.lowering(), end.dim, call.Type(3, DType::I32));
  }
  bool ints = true;
  double values[3];
  const Argument* arguments[] = {&start, &end, &step};
  for (int i = 0; i < 3; ++i) {
    const Argument& a = *arguments[i];
    if (a.is(Kind::kUnknown) || !a.dim.known()) throw NotKnown{};
    if (!a.is_number()) call.FailAt(i == 2 ? 2 : i != 0 && !one, "a number");
    ints = ints && a.is(Kind::kInt);
    values[i] = a.is(Kind::kInt) ? double(a.integer) : a.real;
  }
  if (values[2] == 0) Fail(ErrorKind::kProgram, "arange: 'step' is 0");
  const double count =
      std::max(0.0, std::ceil((values[1] - values[0]) / values[2]));
  if (!(count <= 0x1p40)) {
    Fail(ErrorKind::kProgram, "arange: {} elements are too many", count);
  }
  return Iota(call.lowering(), Dim(int64_t(count)),
              call.Type(3, ints ? DType::I32 : DType::F16), values[0],
              values[2]);
}

FunctionResult Linspace(const Call& call) {
  const double start = call.Number(0), end = call.Number(1);
  const Dim steps = call.Size(2);
  const double step =
      steps.known() && steps.value() > 1 ? (end - start) / (steps.value() - 1)
                                         : 0;
  return Iota(call.lowering(), steps, call.Type(3, DType::F16), start, step);
}

FunctionResult Eye(const Call& call) {
  Lowering& lo = call.lowering();
  const Dim rows = call.Size(0), columns = call.has(1) ? call.Size(1) : rows;
  return Cast(lo, DiagonalMask(lo, rows, columns, OpId::Equal, 0),
              call.Type(2, DType::F16));
}

FunctionResult Half(const Call& call) {
  return Cast(call.lowering(), call.Tensor(0), DType::F16);
}

FunctionResult Tril(const Call& call) {
  return Triangle(call, OpId::LessEqual);
}

FunctionResult Triu(const Call& call) {
  return Triangle(call, OpId::GreaterEqual);
}

FunctionResult CausalMask(const Call& call) {
  return DiagonalMask(call.lowering(), call.Size(0), call.Size(0),
                      OpId::LessEqual, 0);
}

FunctionResult PaddingMask(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef lengths = call.Tensor(0);
  return Binary(lo, OpId::Less, Iota(lo, call.Size(1), DType::I32),
                Unsqueeze(lo, lengths, lengths->rank()));
}

FunctionResult PositionalEncoding(const Call& call) {
  Lowering& lo = call.lowering();
  const Dim seq = call.Size(0), dim = call.Size(1), half = DivideExact(dim, 2);
  if (dim.known() && dim.value() % 2 != 0) {
    Fail(ErrorKind::kProgram,
         "positional_encoding: 'dim' is {}; expected an even number",
         dim.value());
  }
  // angle[p, i] = p / 10000^(2i / dim); sine at 2i, cosine at 2i + 1.
  const double rate =
      dim.known() && dim.value() > 0 ? -2 * std::log(10000.0) / dim.value() : 0;
  const TensorRef frequency =
      Unary(lo, OpId::Exp, Iota(lo, half, DType::F32, 0, rate));
  const TensorRef angle =
      Binary(lo, OpId::Mul, Unsqueeze(lo, Iota(lo, seq, DType::F32), 1),
             frequency);
  const TensorRef pairs =
      Concat(lo,
             {Unsqueeze(lo, Unary(lo, OpId::Sin, angle), 2),
              Unsqueeze(lo, Unary(lo, OpId::Cos, angle), 2)},
             2);
  return Cast(lo, Reshape(lo, pairs, Shape{seq, dim}), DType::F16);
}

}  // namespace tl::functions
