// Attention of any types, strides and sizes: what the kernels for tensor cores
// do not take. A block has one row (a query of a head); its warps share the
// keys out, 32 at a time, a key to a lane, and join what they found in order.
#include <algorithm>

#include "cuda/attention_plain.h"
#include "cuda/attention_problem.cuh"
#include "cuda/dispatch.h"
#include "cuda/launch.h"

namespace tl::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kValuesPerLane = 8;
// Elements of v that a block weighs; wider ones are shared out, and every block
// computes the scores.
constexpr int kStretch = kWarpSize * kValuesPerLane;

struct Joint {
  float max[kWarps];
  float sum[kWarps];
  float values[kWarps][kStretch];
};

TL_DEVICE float WarpMax(float value) {
  for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kFullWarp, value, mask));
  }
  return value;
}

struct Row {
  int64_t query;
  int64_t q, k, v, mask;  // offsets of the row and of its heads
};

TL_DEVICE float ScoreOf(const AttentionProblem& problem, const Row& row,
                        int64_t key) {
  if (problem.mask.data != nullptr &&
      LoadAsFloat(problem.mask, row.mask + key * problem.mask.element_stride) ==
          0) {
    return Hidden();
  }
  const int64_t k = row.k + key * problem.k.row_stride;
  float dot = 0;
  for (int64_t i = 0; i < problem.dim; ++i) {
    dot += LoadAsFloat(problem.q, row.q + i * problem.q.element_stride) *
           LoadAsFloat(problem.k, k + i * problem.k.element_stride);
  }
  return problem.cap == 0 ? dot * problem.scale : CappedScore(problem, dot);
}

// Elements begin + lane + 32 i of the row, weighted by this warp's keys.
TL_DEVICE void AttendKeys(const AttentionProblem& problem, const Row& row,
                          int64_t begin, float (&values)[kValuesPerLane],
                          float& max, float& sum) {
  const KeyRange seen = Visible(problem, row.query);
  const int64_t step = kWarps * kWarpSize;
  for (int64_t first = seen.begin + WarpOf() * kWarpSize; first < seen.end;
       first += step) {
    const int64_t key = first + Lane();
    const float score = key < seen.end ? ScoreOf(problem, row, key) : Hidden();
    const float new_max = fmaxf(max, WarpMax(score));
    const float shift = ShiftFor(new_max);
    const float weight = Exp2(score - shift), factor = Exp2(max - shift);
    max = new_max;
    sum = sum * factor + WarpSum(weight);
    for (float& value : values) value *= factor;
    const int count = static_cast<int>(
        seen.end - first < kWarpSize ? seen.end - first : kWarpSize);
    for (int i = 0; i < count; ++i) {
      const float shared = __shfl_sync(kFullWarp, weight, i);
      const int64_t v = row.v + (first + i) * problem.v.row_stride;
#pragma unroll
      for (int j = 0; j < kValuesPerLane; ++j) {
        const int64_t at = begin + Lane() + j * kWarpSize;
        if (at >= problem.value_dim) break;
        values[j] +=
            shared * LoadAsFloat(problem.v, v + at * problem.v.element_stride);
      }
    }
  }
}

// The join of what the warps found; 0 if none of them saw a key.
TL_DEVICE float Joined(const Joint& joint, int at) {
  float max = Hidden();
  for (int i = 0; i < kWarps; ++i) max = fmaxf(max, joint.max[i]);
  const float shift = ShiftFor(max);
  float sum = 0, value = 0;
  for (int i = 0; i < kWarps; ++i) {
    const float factor = Exp2(joint.max[i] - shift);
    sum += factor * joint.sum[i];
    value += factor * joint.values[i][at];
  }
  return sum == 0 ? 0.0f : value / sum;
}

template <class T>
TL_DEVICE void AttendRow(const AttentionProblem& problem, int64_t index,
                         int64_t begin, Joint& joint) {
  const int64_t head = index % problem.heads;
  const int64_t query = index / problem.heads % problem.queries;
  const int64_t b = index / problem.heads / problem.queries;
  const int64_t kv_head = head / problem.group;
  const Row row = {
      query, HeadOffset(problem.q, b, head) + query * problem.q.row_stride,
      HeadOffset(problem.k, b, kv_head), HeadOffset(problem.v, b, kv_head),
      HeadOffset(problem.mask, b, head) + query * problem.mask.row_stride};
  float values[kValuesPerLane] = {};
  float max = Hidden(), sum = 0;
  AttendKeys(problem, row, begin, values, max, sum);
  const int warp = WarpOf();
#pragma unroll
  for (int j = 0; j < kValuesPerLane; ++j) {
    joint.values[warp][Lane() + j * kWarpSize] = values[j];
  }
  if (Lane() == 0) {
    joint.max[warp] = max;
    joint.sum[warp] = sum;
  }
  __syncthreads();
  const int at = static_cast<int>(threadIdx.x);
  if (begin + at < problem.value_dim) {
    FromFloat(Joined(joint, at),
              reinterpret_cast<T*>(
                  problem.out)[index * problem.value_dim + begin + at]);
  }
  __syncthreads();
}

static_assert(kStretch == kWarps * kWarpSize, "a thread joins one element");

template <class T>
__global__ void PlainAttentionKernel(
    const __grid_constant__ AttentionProblem problem) {
  Joint& joint = *reinterpret_cast<Joint*>(DynamicShared());
  const int64_t rows = problem.batch * problem.queries * problem.heads;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    for (int64_t begin = int64_t{blockIdx.y} * kStretch;
         begin < problem.value_dim; begin += int64_t{gridDim.y} * kStretch) {
      AttendRow<T>(problem, row, begin, joint);
    }
  }
}

}  // namespace

void PlainAttention(const AttentionProblem& problem) {
  constexpr int64_t kMostBlocks = 64 * 1024 - 1;
  const int64_t rows = problem.batch * problem.queries * problem.heads;
  const dim3 grid = {static_cast<unsigned>(std::min(rows, kMostBlocks)),
                     static_cast<unsigned>(std::min(
                         CeilDiv(problem.value_dim, kStretch), kMostBlocks))};
  WithFloats(problem.dtype, [&](auto zero) {
    Launch(PlainAttentionKernel<decltype(zero)>,
           {grid, {kWarps * kWarpSize}, sizeof(Joint)}, problem);
  });
}

}  // namespace tl::cuda
