#include "lang/static_type.h"

#include <fmt/format.h>

#include "lang/type_names.h"

namespace tl {
namespace {

using Kind = StaticType::Kind;

bool SameType(const TensorRef& a, const TensorRef& b) {
  return a && b && a->dtype() == b->dtype() && a->shape() == b->shape();
}

std::string_view NameOf(Kind kind) {
  switch (kind) {
    case Kind::kUnknown:
      return "unknown";
    case Kind::kNone:
      return "none";
    case Kind::kBool:
      return "a bool";
    case Kind::kInt:
      return "an int";
    case Kind::kFloat:
      return "a float";
    case Kind::kString:
      return "a string";
    case Kind::kTensor:
      return "a tensor";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
    case Kind::kRange:
      return "a range";
    case Kind::kModel:
      return "a model";
    case Kind::kTokenizer:
      return "a tokenizer";
    case Kind::kCache:
      return "a cache";
    case Kind::kFunction:
      return "a function";
  }
  return "";
}

}  // namespace

StaticType StaticType::Of(Kind kind) {
  StaticType type;
  type.kind = kind;
  return type;
}

StaticType StaticType::Bool(std::optional<int64_t> value) {
  StaticType type = Of(Kind::kBool);
  type.integer = value;
  return type;
}

StaticType StaticType::Int(int64_t value) {
  StaticType type = Of(Kind::kInt);
  type.integer = value;
  return type;
}

StaticType StaticType::Int(Dim dim) {
  if (dim.known()) return Int(dim.value());
  StaticType type = Of(Kind::kInt);
  type.dim = dim;
  return type;
}

StaticType StaticType::Float(std::optional<double> value) {
  StaticType type = Of(Kind::kFloat);
  type.real = value;
  return type;
}

StaticType StaticType::Text(std::string value) {
  StaticType type = Of(Kind::kString);
  type.text = std::move(value);
  return type;
}

StaticType StaticType::Tensor(TensorRef tensor) {
  StaticType type = Of(Kind::kTensor);
  type.tensor = std::move(tensor);
  return type;
}

StaticType StaticType::List(std::vector<StaticType> elements) {
  StaticType type = Of(Kind::kList);
  type.elements =
      std::make_shared<const std::vector<StaticType>>(std::move(elements));
  return type;
}

Dim StaticType::AsDim() const {
  if (!integer) return dim;
  return *integer >= 0 ? Dim(*integer) : Dim::Unknown();
}

std::string StaticType::ToString() const {
  if (is(Kind::kTensor) && tensor) {
    return fmt::format("{}{}", LanguageName(tensor->dtype()),
                       tensor->shape().ToString());
  }
  return std::string(NameOf(kind));
}

StaticType Join(const StaticType& a, const StaticType& b) {
  if (a.kind != b.kind) return {};
  StaticType both = StaticType::Of(a.kind);
  if (a.integer == b.integer) both.integer = a.integer;
  if (Same(a.dim, b.dim)) both.dim = a.dim;
  if (a.real == b.real) both.real = a.real;
  if (a.text == b.text) both.text = a.text;
  if (SameType(a.tensor, b.tensor)) both.tensor = a.tensor;
  if (a.elements == b.elements) both.elements = a.elements;
  if (a.model == b.model && a.prefix == b.prefix) {
    both.model = a.model;
    both.prefix = a.prefix;
  }
  if (a.function == b.function) both.function = a.function;
  return both;
}

StaticType OfType(TypeKind type) {
  switch (type) {
    case TypeKind::kAny:
      return {};
    case TypeKind::kElementTensor:
    case TypeKind::kTensor:
      return StaticType::Tensor(nullptr);
    case TypeKind::kInt:
      return StaticType::Int(Dim::Unknown());
    case TypeKind::kFloat:
      return StaticType::Float();
    case TypeKind::kBool:
      return StaticType::Bool();
    case TypeKind::kString:
      return StaticType::Of(StaticType::Kind::kString);
    case TypeKind::kList:
      return StaticType::Of(StaticType::Kind::kList);
    case TypeKind::kMap:
      return StaticType::Of(StaticType::Kind::kMap);
    case TypeKind::kModel:
      return StaticType::Of(StaticType::Kind::kModel);
    case TypeKind::kCache:
      return StaticType::Of(StaticType::Kind::kCache);
    case TypeKind::kTokenizer:
      return StaticType::Of(StaticType::Kind::kTokenizer);
    case TypeKind::kFunction:
      return StaticType::Of(StaticType::Kind::kFunction);
    case TypeKind::kVoid:
      return StaticType::Of(StaticType::Kind::kNone);
  }
  return {};
}

DType StorageOf(ElementType element) {
  switch (element) {
    case ElementType::kFloat16:
      return DType::F16;
    case ElementType::kFloat32:
      return DType::F32;
    case ElementType::kInt32:
      return DType::I32;
  }
  return DType::F16;
}

std::string Described(TypeKind type) {
  switch (type) {
    case TypeKind::kAny:
      return "any value";
    case TypeKind::kElementTensor:
    case TypeKind::kTensor:
      return "a tensor";
    case TypeKind::kInt:
      return "an int";
    case TypeKind::kFloat:
      return "a float";
    case TypeKind::kBool:
      return "a bool";
    case TypeKind::kString:
      return "a string";
    case TypeKind::kList:
      return "a list";
    case TypeKind::kMap:
      return "a map";
    case TypeKind::kModel:
      return "a model";
    case TypeKind::kCache:
      return "a cache";
    case TypeKind::kTokenizer:
      return "a tokenizer";
    case TypeKind::kFunction:
      return "a function";
    case TypeKind::kVoid:
      return "nothing";
  }
  return "";
}

bool MayBe(const StaticType& value, TypeKind type) {
  if (!value.known()) return true;
  // A number is a tensor of rank 0, a list of numbers a tensor, and a tensor
  // of one element a number.
  bool numeric = value.is_number() || value.is(Kind::kBool) ||
                 value.is(Kind::kTensor) || value.is(Kind::kList);
  switch (type) {
    case TypeKind::kAny:
      return true;
    case TypeKind::kElementTensor:
    case TypeKind::kTensor:
    case TypeKind::kInt:
    case TypeKind::kFloat:
    case TypeKind::kBool:
      return numeric;
    case TypeKind::kString:
      return value.is(Kind::kString);
    case TypeKind::kList:
      return value.is(Kind::kList) || value.is(Kind::kTensor) ||
             value.is(Kind::kRange);
    case TypeKind::kMap:
      return value.is(Kind::kMap);
    case TypeKind::kModel:
      return value.is(Kind::kModel);
    case TypeKind::kCache:
      return value.is(Kind::kCache);
    case TypeKind::kTokenizer:
      return value.is(Kind::kTokenizer) || value.is(Kind::kModel);
    case TypeKind::kFunction:
      return value.is(Kind::kFunction);
    case TypeKind::kVoid:
      return value.is(Kind::kNone);
  }
  return true;
}

}  // namespace tl
