// Which instruction sets the kernels were compiled for and which one runs. The
// best that the machine has is chosen on first use; tests try the others.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tl::cpu {

// Fails when the machine has none of them.
void RequireSimdTarget();

// The compiled ones that this machine has, best first.
std::vector<int64_t> SimdTargets();

// "AVX3_DL", "AVX2", ...
std::string_view SimdTargetName(int64_t target);

// The one that runs now.
int64_t CurrentSimdTarget();

// For tests and benchmarks: kernels called from now on use `target`, one of
// SimdTargets(); 0 goes back to the best.
void UseSimdTarget(int64_t target);

}  // namespace tl::cpu
