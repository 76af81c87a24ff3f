// The check behind `tl run --check-finite`.
#pragma once

#include <span>

#include "exec/backend.h"

namespace tl {

// Fails if a float result holds inf or NaN though no operand does.
void RequireFinite(Backend& backend, OpId op, std::span<const View> inputs,
                   std::span<const View> outputs);

}  // namespace tl
