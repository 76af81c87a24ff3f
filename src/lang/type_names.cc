#include "lang/type_names.h"

#include <fmt/format.h>

namespace tl {
namespace {

struct ElementName {
  std::string_view name;
  ElementType element;
};

// The first name of each is the one shown.
constexpr ElementName kElements[] = {
    {"float16", ElementType::kFloat16}, {"f16", ElementType::kFloat16},
    {"half", ElementType::kFloat16},    {"float32", ElementType::kFloat32},
    {"f32", ElementType::kFloat32},     {"int32", ElementType::kInt32},
};

struct TypeName {
  std::string_view name;
  TypeKind kind;
};

constexpr TypeName kTypes[] = {
    {"Tensor", TypeKind::kTensor},     {"int", TypeKind::kInt},
    {"float", TypeKind::kFloat},       {"bool", TypeKind::kBool},
    {"string", TypeKind::kString},     {"list", TypeKind::kList},
    {"map", TypeKind::kMap},           {"Model", TypeKind::kModel},
    {"Cache", TypeKind::kCache},       {"Tokenizer", TypeKind::kTokenizer},
    {"Function", TypeKind::kFunction}, {"void", TypeKind::kVoid},
};

std::string Joined(const std::vector<DimExpr>& parts, std::string_view sign,
                   DimKind in_parens) {
  std::string text;
  for (const DimExpr& part : parts) {
    if (!text.empty()) text += sign;
    std::string shown = ToString(part);
    text += part.kind == in_parens ? fmt::format("({})", shown) : shown;
  }
  return text;
}

}  // namespace

std::optional<ElementType> FindElement(std::string_view name) {
  for (const ElementName& row : kElements) {
    if (row.name == name) return row.element;
  }
  return std::nullopt;
}

std::string_view NameOf(ElementType element) {
  for (const ElementName& row : kElements) {
    if (row.element == element) return row.name;
  }
  return "";
}

std::optional<TypeKind> FindType(std::string_view name) {
  for (const TypeName& row : kTypes) {
    if (row.name == name) return row.kind;
  }
  return std::nullopt;
}

std::string_view NameOf(TypeKind kind) {
  for (const TypeName& row : kTypes) {
    if (row.kind == kind) return row.name;
  }
  return kind == TypeKind::kElementTensor ? "tensor" : "any";
}

std::vector<std::string_view> TypeNames() {
  std::vector<std::string_view> names;
  for (const ElementName& row : kElements) names.push_back(row.name);
  for (const TypeName& row : kTypes) names.push_back(row.name);
  return names;
}

std::string ToString(const DimExpr& dim) {
  switch (dim.kind) {
    case DimKind::kNumber:
      return fmt::format("{}", dim.value);
    case DimKind::kName:
      return dim.name;
    case DimKind::kSum:
      return Joined(dim.parts, " + ", DimKind::kSum);
    case DimKind::kProduct:
      return Joined(dim.parts, " * ", DimKind::kSum);
    case DimKind::kAny:
      return "?";
  }
  return "";
}

std::string ToString(const TypeExpr& type) {
  if (type.kind != TypeKind::kElementTensor) {
    return std::string(NameOf(type.kind));
  }
  std::string dims = type.leading_any ? "..." : "";
  for (const DimExpr& dim : type.dims) {
    if (!dims.empty()) dims += ", ";
    dims += ToString(dim);
  }
  return fmt::format("{}[{}]", NameOf(type.element), dims);
}

}  // namespace tl
