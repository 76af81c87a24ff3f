// Making a tensor larger at its edges: constants, or its own elements. Composed
// of slices and joins, so it costs one copy and no backend knows of it.
#pragma once

#include <string_view>

#include "ops/lowering.h"

namespace tl {

enum class PadMode {
  kConstant,
  kReflect,    // c b | a b c | b a
  kReplicate,  // a a | a b c | c c
  kCircular,   // b c | a b c | a b
};

// "constant", "reflect", "replicate" or "circular"; fails on other names.
PadMode PadModeOf(std::string_view name);

// `before` and `after`: one number per axis of x, none negative. `fill` is for kConstant.
TensorRef Pad(Lowering& lo, const TensorRef& x, std::span<const int64_t> before,
              std::span<const int64_t> after, PadMode mode,
              const TensorRef& fill);

}  // namespace tl
