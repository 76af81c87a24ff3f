#include "ops/op.h"

#include <array>

namespace tl {
namespace {

constexpr auto kInfos = std::to_array<OpInfo>({
#define TL_UNARY(id, name, domain, formula) \
  {name, OpClass::kElementwise, Domain::domain, Layout::kStrided, false, 1},
#define TL_BINARY(id, name, domain, formula) \
  {name, OpClass::kElementwise, Domain::domain, Layout::kStrided, false, 2},
#define TL_TERNARY(id, name, domain, formula) \
  {name, OpClass::kElementwise, Domain::domain, Layout::kStrided, false, 3},
#include "ops/elementwise.def"
#define TL_VIEW(id, name) \
  {name, OpClass::kView, Domain::kNone, Layout::kStrided, false, 1},
#define TL_KERNEL(id, name, layout) \
  {name, OpClass::kKernel, Domain::kNone, Layout::layout, false, -1},
#define TL_FUSING_KERNEL(id, name, layout) \
  {name, OpClass::kKernel, Domain::kNone, Layout::layout, true, -1},
#include "ops/structured.def"
    {"tensor", OpClass::kLeaf, Domain::kNone, Layout::kStrided, false, 0},
    {"number", OpClass::kLeaf, Domain::kNone, Layout::kStrided, false, 0},
});

}  // namespace

const OpInfo& Info(OpId op) { return kInfos[static_cast<size_t>(op)]; }

}  // namespace tl
