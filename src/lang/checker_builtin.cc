// What the program's built-ins give back, beyond the kind that their rows say.
#include <fmt/format.h>

#include "lang/checker_rules.h"

namespace tl {
namespace {

using Kind = StaticType::Kind;

std::optional<DType> TypeNamed(const StaticType& value) {
  for (DType dtype : {DType::F16, DType::F32, DType::I32}) {
    if (value.text && LanguageName(dtype) == *value.text) return dtype;
  }
  return std::nullopt;
}

// x of another type or on another device.
StaticType Converted(const StaticType& x, const StaticType& target) {
  if (!x.is(Kind::kTensor) && !x.is(Kind::kList)) return {};
  bool device = target.text && (*target.text == "cpu" || *target.text == "gpu");
  if (!x.tensor) return StaticType::Tensor(nullptr);
  if (device && x.is(Kind::kTensor)) return x;
  std::optional<DType> dtype = TypeNamed(target);
  if (!dtype) return StaticType::Tensor(nullptr);
  return StaticType::Tensor(
      MakeRef<TensorValue>(TensorType{*dtype, x.tensor->shape()}));
}

// len(x): the first axis of a tensor, the elements of a list.
StaticType LengthOf(const StaticType& x) {
  if (x.is(Kind::kTensor) && x.tensor && x.tensor->rank() > 0) {
    return StaticType::Int(x.tensor->shape()[0]);
  }
  if (x.is(Kind::kList) && x.elements) {
    return StaticType::Int(static_cast<int64_t>(x.elements->size()));
  }
  return StaticType::Int(Dim::Unknown());
}

StaticType SizesOf(const StaticType& x) {
  if (!x.tensor) return StaticType::Of(Kind::kList);
  std::vector<StaticType> sizes;
  for (Dim dim : x.tensor->shape()) sizes.push_back(StaticType::Int(dim));
  return StaticType::List(std::move(sizes));
}

}  // namespace

StaticType Checker::CallBuiltin(BuiltinId builtin, Span span,
                                const std::vector<Arg>& args) {
  const Signature& signature = SignatureOf(builtin);
  std::optional<ArgumentBinding> binding = BindArguments(signature, span, args);
  if (!binding || !CheckKinds(signature, *binding, args)) {
    return OfType(signature.result);
  }
  auto given = [&](size_t i) {
    int at = binding->arguments[i];
    return at == ArgumentBinding::kDefault ? StaticType::Of(Kind::kNone)
                                           : args[at].type;
  };
  if (builtin == BuiltinId::Len) return LengthOf(given(0));
  if (builtin == BuiltinId::ShapeOf) return SizesOf(given(0));
  if (builtin == BuiltinId::Int && given(0).is(Kind::kInt)) return given(0);
  if (builtin == BuiltinId::Range || builtin == BuiltinId::RangeI) {
    return StaticType::Of(Kind::kRange);
  }
  if (builtin == BuiltinId::Float) {
    return given(0).is_number() ? StaticType::Float() : StaticType();
  }
  if (builtin == BuiltinId::MakeTensor) {
    StaticType type = given(1);
    if (type.is(Kind::kNone)) type = StaticType::Text("float16");
    return Converted(given(0), type);
  }
  if (builtin == BuiltinId::To) return Converted(given(0), given(1));
  if (builtin == BuiltinId::Cpu || builtin == BuiltinId::Gpu) {
    return given(0).is(Kind::kTensor) ? given(0) : StaticType();
  }
  if (builtin == BuiltinId::LoadModel) return LoadModel(args, *binding);
  if (builtin == BuiltinId::GetTensor && given(1).text) {
    bool optional = binding->arguments[2] != ArgumentBinding::kDefault;
    return ModelTensor(given(0), *given(1).text,
                       args[binding->arguments[1]].span,
                       optional ? Absence::kNone : Absence::kFault);
  }
  if (builtin == BuiltinId::Remove) NoteModelChange(given(0), nullptr);
  return OfType(signature.result);
}

}  // namespace tl
