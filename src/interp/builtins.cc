#include "interp/builtins.h"

namespace tl {
namespace {

constexpr BuiltinFunction kFunctions[] = {
#define TL_BUILTIN(id, signature, doc) builtins::id,
#define TL_CONSTANT(name, value, doc)
#define TL_MEMBER(owner, name, result, doc)
#include "lang/builtins.def"
};

}  // namespace

BuiltinFunction FunctionOf(BuiltinId builtin) {
  return kFunctions[static_cast<size_t>(builtin)];
}

}  // namespace tl
