#include "ops/lowering.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "ops/build.h"

namespace tl {
namespace {

std::string_view KindName(const Argument& argument) {
  switch (argument.kind) {
    case Argument::Kind::kNone:
      return "none";
    case Argument::Kind::kTensor:
      return "a tensor";
    case Argument::Kind::kInt:
      return "an int";
    case Argument::Kind::kFloat:
      return "a float";
    case Argument::Kind::kBool:
      return "a bool";
    case Argument::Kind::kString:
      return "a string";
    case Argument::Kind::kList:
      return "a list";
    case Argument::Kind::kUnknown:
      return "unknown";
  }
  return "";
}

// A tensor that is usable wherever a number is.
bool IsOneElement(const Argument& a) {
  if (!a.is(Argument::Kind::kTensor)) return false;
  const Shape& shape = a.tensor->shape();
  return std::all_of(shape.begin(), shape.end(),
                     [](Dim dim) { return Same(dim, Dim(1)); });
}

// Kernels that compute in floating point only.
bool NeedsFloat(OpId op) {
  return op == OpId::Mean || op == OpId::SumSquares || op == OpId::Norm ||
         op == OpId::Var || op == OpId::Softmax || op == OpId::LogSoftmax ||
         op == OpId::LayerNorm || op == OpId::RmsNorm || op == OpId::Rope ||
         op == OpId::Attention || op == OpId::Convolution ||
         op == OpId::MaxPool || op == OpId::AveragePool ||
         op == OpId::Interpolate;
}

}  // namespace

TensorRef Lowering::Apply(OpId op, std::span<const TensorRef> inputs,
                          Attributes attributes) {
  if (!NeedsFloat(op)) return Make(op, inputs, std::move(attributes));
  // In float32, which holds ints better than float16. An attention mask, the
  // fourth input, is a condition and may stay int32.
  const auto operands = inputs.first(std::min<size_t>(inputs.size(), 3));
  const auto is_int = [](const TensorRef& x) {
    return x->dtype() == DType::I32;
  };
  if (std::ranges::none_of(operands, is_int)) {
    return Make(op, inputs, std::move(attributes));
  }
  const bool only_ints = std::ranges::all_of(operands, is_int);
  std::vector<TensorRef> converted(inputs.begin(), inputs.end());
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!is_int(converted[i])) continue;
    converted[i] = Cast(*this, converted[i], DType::F32);
  }
  const TensorRef result = Make(op, converted, std::move(attributes));
  return only_ints && result->rank() > 0 ? Cast(*this, result, DType::F16)
                                         : result;
}

Argument Argument::Of(TensorRef tensor) {
  Argument a;
  a.kind = Kind::kTensor;
  a.tensor = std::move(tensor);
  return a;
}

Argument Argument::Int(int64_t value) {
  Argument a;
  a.kind = Kind::kInt;
  a.integer = value;
  return a;
}

Argument Argument::Symbol(Dim dim) {
  if (dim.known()) return Int(dim.value());
  Argument a;
  a.kind = dim.unknown() ? Kind::kUnknown : Kind::kInt;
  a.dim = dim;
  return a;
}

Argument Argument::Float(double value) {
  Argument a;
  a.kind = Kind::kFloat;
  a.real = value;
  return a;
}

Argument Argument::Bool(bool value) {
  Argument a;
  a.kind = Kind::kBool;
  a.integer = value;
  return a;
}

Argument Argument::Text(std::string_view text) {
  Argument a;
  a.kind = Kind::kString;
  a.text = text;
  return a;
}

Argument Argument::List(std::vector<Argument> list) {
  Argument a;
  a.kind = Kind::kList;
  a.list = std::move(list);
  return a;
}

Argument Argument::Unknown() {
  Argument a;
  a.kind = Kind::kUnknown;
  return a;
}

std::string ArgumentName::ToString() const {
  return parameter_.empty() ? std::string(text_)
                            : fmt::format("{}: '{}'", text_, parameter_);
}

void Call::FailAt(size_t i, std::string_view expected) const {
  Fail(ErrorKind::kProgram, "{} is {}; expected {}", Name(i).ToString(),
       KindName(arguments_[i]), expected);
}

bool Call::has(size_t i) const {
  return i < arguments_.size() && !arguments_[i].is(Argument::Kind::kNone);
}

TensorRef Call::TensorOf(const Argument& a, ArgumentName what) const {
  switch (a.kind) {
    case Argument::Kind::kTensor:
      return a.tensor;
    case Argument::Kind::kInt:
      if (!a.dim.known()) return lowering_.Number(0, DType::I32);
      // An int that int32 cannot hold stays exact as long as a float can.
      return lowering_.Number(a.integer, a.integer == int32_t(a.integer)
                                             ? DType::I32
                                             : DType::F32);
    case Argument::Kind::kBool:
      return lowering_.Number(a.integer, DType::I32);
    case Argument::Kind::kFloat:
      return lowering_.Number(a.real, DType::F32);
    case Argument::Kind::kUnknown:
      throw NotKnown{};
    case Argument::Kind::kList:
      return StackOf(a.list, what);
    case Argument::Kind::kNone:
    case Argument::Kind::kString:
      break;
  }
  Fail(ErrorKind::kProgram, "{} is {}; expected a tensor", what.ToString(),
       KindName(a));
}

// A nested list of numbers or tensors: its items along a new first axis.
TensorRef Call::StackOf(const std::vector<Argument>& items,
                        ArgumentName what) const {
  if (items.empty()) {
    const TensorRef zero = lowering_.Number(0, DType::F32);
    return BroadcastTo(lowering_, Cast(lowering_, zero, DType::F16), Shape{0});
  }
  std::vector<TensorRef> rows;
  bool plain = true;  // numbers only: not a tensor's choice of type
  for (const Argument& item : items) {
    plain = plain && !item.is(Argument::Kind::kTensor);
    rows.push_back(Unsqueeze(lowering_, TensorOf(item, what), 0));
  }
  const TensorRef stacked = Concat(lowering_, std::move(rows), 0);
  return plain && stacked->dtype() == DType::F32
             ? Cast(lowering_, stacked, DType::F16)
             : stacked;
}

TensorRef Call::Tensor(size_t i) const {
  return TensorOf(arguments_[i], Name(i));
}

std::vector<TensorRef> Call::Tensors(size_t i) const {
  const Argument& argument = arguments_[i];
  if (argument.is(Argument::Kind::kUnknown)) throw NotKnown{};
  if (!argument.is(Argument::Kind::kList)) FailAt(i, "a list of tensors");
  // f([a, b]) and f(a, b) are the same call.
  const std::vector<Argument>* list = &argument.list;
  if (list->size() == 1 && (*list)[0].is(Argument::Kind::kList)) {
    list = &(*list)[0].list;
  }
  std::vector<TensorRef> tensors;
  for (const Argument& a : *list) tensors.push_back(TensorOf(a, Name(i)));
  return tensors;
}

int64_t Call::IntOf(const Argument& a, ArgumentName what) const {
  switch (a.kind) {
    case Argument::Kind::kInt:
      if (!a.dim.known()) throw NotKnown{};
      return a.integer;
    case Argument::Kind::kBool:
      return a.integer;
    case Argument::Kind::kFloat:
      if (a.real == std::floor(a.real) && std::abs(a.real) < 0x1p53) {
        return static_cast<int64_t>(a.real);
      }
      Fail(ErrorKind::kProgram, "{} is {}; expected a whole number",
           what.ToString(), a.real);
    case Argument::Kind::kUnknown:
      throw NotKnown{};
    case Argument::Kind::kTensor:
      if (IsOneElement(a)) {
        return IntOf(Argument::Float(lowering_.Read(a.tensor)), what);
      }
      break;
    case Argument::Kind::kNone:
    case Argument::Kind::kString:
    case Argument::Kind::kList:
      break;
  }
  Fail(ErrorKind::kProgram, "{} is {}; expected an int", what.ToString(),
       KindName(a));
}

int64_t Call::Int(size_t i) const { return IntOf(arguments_[i], Name(i)); }

double Call::Number(size_t i) const {
  const Argument& a = arguments_[i];
  if (a.is(Argument::Kind::kUnknown)) return 0;
  if (IsOneElement(a)) return lowering_.Read(a.tensor);
  if (a.is(Argument::Kind::kFloat)) return a.real;
  if (a.is(Argument::Kind::kInt) || a.is(Argument::Kind::kBool)) {
    return static_cast<double>(a.integer);
  }
  FailAt(i, "a number");
}

bool Call::Flag(size_t i) const { return Int(i) != 0; }

std::string_view Call::Text(size_t i) const {
  if (arguments_[i].is(Argument::Kind::kUnknown)) throw NotKnown{};
  if (!arguments_[i].is(Argument::Kind::kString)) FailAt(i, "a string");
  return arguments_[i].text;
}

static int CheckedAxis(int64_t axis, int rank, ArgumentName what) {
  const int64_t positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank) {
    Fail(ErrorKind::kProgram, "{} is {}; a tensor of rank {} has axes {}",
         what.ToString(), axis, rank,
         rank == 0 ? "none" : fmt::format("{} to {}", -rank, rank - 1));
  }
  return static_cast<int>(positive);
}

int Call::Axis(size_t i, int rank) const {
  return CheckedAxis(Int(i), rank, Name(i));
}

std::vector<int> Call::Axes(size_t i, int rank) const {
  const Argument& argument = arguments_[i];
  if (!argument.is(Argument::Kind::kList)) return {Axis(i, rank)};
  const std::vector<Argument>* list = &argument.list;
  if (list->size() == 1 && (*list)[0].is(Argument::Kind::kList)) {
    list = &(*list)[0].list;
  }
  std::vector<int> axes;
  for (const Argument& a : *list) {
    const int axis = CheckedAxis(IntOf(a, Name(i)), rank, Name(i));
    for (int other : axes) {
      if (other == axis) {
        Fail(ErrorKind::kProgram, "{} names axis {} twice", Name(i).ToString(),
             axis);
      }
    }
    axes.push_back(axis);
  }
  return axes;
}

Dim Call::SizeOf(const Argument& a, ArgumentName what) const {
  if (a.is(Argument::Kind::kUnknown)) return Dim::Unknown();
  if (a.is(Argument::Kind::kInt) && !a.dim.known()) return a.dim;
  const int64_t size = IntOf(a, what);
  if (size < 0) {
    Fail(ErrorKind::kProgram, "{} is {}; a size cannot be negative",
         what.ToString(), size);
  }
  return Dim(size);
}

Dim Call::Size(size_t i) const { return SizeOf(arguments_[i], Name(i)); }

Call::SizeList Call::Sizes(size_t i) const {
  const Argument& argument = arguments_[i];
  if (argument.is(Argument::Kind::kUnknown)) throw NotKnown{};
  SizeList sizes;
  if (!argument.is(Argument::Kind::kList)) {
    sizes.dims.push_back(Size(i));
    return sizes;
  }
  const std::vector<Argument>* list = &argument.list;
  if (list->size() == 1 && (*list)[0].is(Argument::Kind::kList)) {
    list = &(*list)[0].list;
  }
  for (const Argument& a : *list) {
    const bool literal = a.is(Argument::Kind::kInt) && a.dim.known();
    if (literal && a.integer == -1) {
      if (sizes.inferred >= 0) {
        Fail(ErrorKind::kProgram, "{} has more than one -1",
             Name(i).ToString());
      }
      sizes.inferred = static_cast<int>(sizes.dims.size());
      sizes.dims.push_back(Dim(1));
    } else {
      sizes.dims.push_back(SizeOf(a, Name(i)));
    }
  }
  return sizes;
}

void Call::RequireGiven(const SizeList& sizes, size_t i) const {
  if (sizes.inferred >= 0) {
    Fail(ErrorKind::kProgram, "{} is -1; a size cannot be negative",
         Name(i).ToString());
  }
}

DType Call::Type(size_t i, DType otherwise) const {
  if (!has(i)) return otherwise;
  const std::string_view name = Text(i);
  for (DType dtype : {DType::F16, DType::F32, DType::I32}) {
    if (LanguageName(dtype) == name) return dtype;
  }
  Fail(ErrorKind::kProgram, "{} is \"{}\"; expected float16, float32 or int32",
       Name(i).ToString(), name);
}

}  // namespace tl
