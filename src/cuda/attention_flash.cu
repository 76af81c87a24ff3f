#include <algorithm>

#include "cuda/attention_decode.h"
#include "cuda/attention_flash.cuh"
#include "cuda/dispatch.h"
#include "cuda/launch.h"

namespace tl::cuda {
namespace {

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 2)
    FlashAttentionKernel(const __grid_constant__ FlashAttention flash) {
  FlashAttentionTile<Shape>(flash, static_cast<int>(blockIdx.x),
                            DynamicShared());
}

int64_t TilesOf(const AttentionProblem& problem, int rows) {
  return problem.batch * problem.kv_heads *
         CeilDiv(problem.queries * problem.group, rows);
}

template <class Shape>
void LaunchFlash(const AttentionProblem& problem) {
  const FlashAttention flash = {
      problem,
      static_cast<int>(CeilDiv(problem.queries * problem.group, Shape::kRows))};
  Launch(FlashAttentionKernel<Shape>,
         {{static_cast<unsigned>(TilesOf(problem, Shape::kRows))},
          {Shape::kThreads},
          Shape::kSharedBytes},
         flash);
}

// With large tiles a tile of keys is read less often, with small ones a short
// prompt has work for all multiprocessors.
template <int kDims>
void LaunchFlashOf(const AttentionProblem& problem) {
  using Large = FlashShape<kDims, 2, 32>;
  if (TilesOf(problem, Large::kRows) >= 2 * Card().multiprocessors) {
    LaunchFlash<Large>(problem);
  } else {
    LaunchFlash<FlashShape<kDims, 1, 64>>(problem);
  }
}

}  // namespace

bool CanFlashAttention(const AttentionProblem& problem) {
  constexpr int kAmpere = 80;
  // The largest score is that of the largest product.
  const bool growing = problem.cap != 0 || problem.scale > 0;
  return Card().capability >= kAmpere && growing && CanDecodeAttention(problem);
}

bool FlashFillsCard(const AttentionProblem& problem) {
  constexpr int kFewQueries = 8;
  return problem.queries > kFewQueries &&
         4 * TilesOf(problem, FlashShape<64, 1, 64>::kRows) >
             Card().multiprocessors;
}

void RunFlashAttention(const AttentionProblem& problem) {
  const int64_t widest = std::max(problem.dim, problem.value_dim);
  if (widest <= 64) {
    LaunchFlashOf<64>(problem);
  } else if (widest <= 96) {
    LaunchFlashOf<96>(problem);
  } else if (widest <= 128) {
    LaunchFlashOf<128>(problem);
  } else {
    LaunchFlash<FlashShape<256, 1, 32>>(problem);
  }
}

}  // namespace tl::cuda
