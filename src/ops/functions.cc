#include "ops/functions.h"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace tl {

#define TL_FUNCTION(id, ...)        \
  namespace functions {             \
  FunctionResult id(const Call&);   \
  }
#include "ops/functions.def"

namespace {

template <OpId op, int arity>
FunctionResult Elementwise(const Call& call) {
  std::array<TensorRef, arity> inputs;
  for (int i = 0; i < arity; ++i) inputs[i] = call.Tensor(i);
  constexpr bool rounds =
      op == OpId::Floor || op == OpId::Ceil || op == OpId::Round;
  if (rounds && inputs[0]->dtype() == DType::I32) return inputs[0];
  return call.lowering().Apply(op, inputs, {});
}

// In the order of the tables: where a name stands twice the first one counts.
constexpr FunctionInfo kFunctions[] = {
#define TL_FUNCTION(id, signature, doc) \
  {std::string_view(signature).substr(  \
       0, std::string_view(signature).find('(')), \
   signature, doc, functions::id},
#include "ops/functions.def"
#define TL_UNARY(id, name, domain, formula) \
  {name, name "(x: Tensor)", "elementwise", Elementwise<OpId::id, 1>, OpId::id},
#define TL_BINARY(id, name, domain, formula) \
  {name, name "(x: Tensor, y: Tensor)", "elementwise", Elementwise<OpId::id, 2>, OpId::id},
#define TL_TERNARY(id, name, domain, formula)                          \
  {name, name "(x: Tensor, y: Tensor, z: Tensor)", "elementwise",      \
   Elementwise<OpId::id, 3>, OpId::id},
#include "ops/elementwise.def"
};

}  // namespace

std::span<const FunctionInfo> Functions() { return kFunctions; }

const FunctionInfo* FindFunction(std::string_view name) {
  static const auto& by_name = *[] {
    auto* map = new std::unordered_map<std::string_view, const FunctionInfo*>;
    for (const FunctionInfo& f : kFunctions) map->emplace(f.name, &f);
    return map;
  }();
  const auto it = by_name.find(name);
  return it == by_name.end() ? nullptr : it->second;
}

}  // namespace tl
