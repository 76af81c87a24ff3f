// The names of types as programs spell them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lang/ast.h"

namespace tl {

// float16 f16 half, float32 f32, int32.
std::optional<ElementType> FindElement(std::string_view name);
std::string_view NameOf(ElementType element);

// Every other type: Tensor, int, Model, ...
std::optional<TypeKind> FindType(std::string_view name);
std::string_view NameOf(TypeKind kind);

std::vector<std::string_view> TypeNames();

// As the program would write it: "float16[T, H * D]".
std::string ToString(const TypeExpr& type);
std::string ToString(const DimExpr& dim);

}  // namespace tl
