// The methods that change the variable they are called on: `v.push(x)`.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "interp/tensors.h"
#include "interp/value.h"

namespace tl {

enum class Mutator { kPush, kAppend, kPop, kSet, kClear, kRemove };

std::optional<Mutator> FindMutator(std::string_view name);
inline bool IsMutator(std::string_view name) {
  return FindMutator(name).has_value();
}

// `place.method(arguments)` on a list or map, in place. Unset if `place` is of
// another kind, or has no such method.
Value Mutate(Tensors& tensors, Mutator method, Value& place,
             std::span<const Value> arguments, Span where);

}  // namespace tl
