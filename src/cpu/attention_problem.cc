#include "cpu/attention_problem.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace tl::cpu {
namespace {

// Byte offset of batch `index` of a view whose last `inner` axes are not batch.
int64_t BatchOffset(const View& view, int inner, int64_t index) {
  int64_t offset = 0;
  for (int axis = view.rank - inner - 1; axis >= 0; --axis) {
    offset += index % view.dims[axis] * view.strides[axis];
    index /= view.dims[axis];
  }
  return offset * ElementBytes(view.dtype);
}

Matrix HeadOf(const View& view, int64_t b, int64_t head) {
  const int64_t* strides = view.strides + view.rank - 3;
  const std::byte* data = view.data + BatchOffset(view, 3, b) +
                          head * strides[1] * ElementBytes(view.dtype);
  return {data, view.dtype, strides[0], strides[2]};
}

template <class T, class Hidden>
void HideWhere(const T* mask, int64_t stride, int64_t count, float* scores,
               int64_t scores_stride, Hidden hidden) {
  for (int64_t i = 0; i < count; ++i) {
    if (hidden(mask[i * stride])) {
      scores[i * scores_stride] = -std::numeric_limits<float>::infinity();
    }
  }
}

}  // namespace

Matrix AttentionProblem::QueriesOf(int64_t b, int64_t head) const {
  return HeadOf(q, b, head);
}

Matrix AttentionProblem::KeysOf(int64_t b, int64_t kv_head) const {
  return HeadOf(k, b, kv_head);
}

Matrix AttentionProblem::ValuesOf(int64_t b, int64_t kv_head) const {
  return HeadOf(v, b, kv_head);
}

KeyRange AttentionProblem::Visible(int64_t query) const {
  // Written so that a window of any size cannot overflow.
  const int64_t at = keys - queries + query;
  KeyRange range = {0, keys};
  if (causal) range.end = std::clamp<int64_t>(at + 1, 0, keys);
  if (window > 0 && window < keys + queries) {
    range.begin = std::clamp<int64_t>(at - window + 1, 0, keys);
    range.end = std::min(range.end, std::clamp<int64_t>(at + window, 0, keys));
  }
  range.begin = std::min(range.begin, range.end);
  return range;
}

void AttentionProblem::HideMasked(int64_t b, int64_t head, int64_t query,
                                  KeyRange range, float* scores,
                                  int64_t scores_stride) const {
  const int64_t* strides = mask->strides + mask->rank - 3;
  const int64_t offset =
      head * strides[0] + query * strides[1] + range.begin * strides[2];
  const std::byte* data = mask->data + BatchOffset(*mask, 3, b) +
                          offset * ElementBytes(mask->dtype);
  const int64_t count = range.end - range.begin;
  if (mask->dtype == DType::F16) {
    HideWhere(reinterpret_cast<const uint16_t*>(data), strides[2], count,
              scores, scores_stride,
              [](uint16_t bits) { return (bits & 0x7fff) == 0; });
  } else if (mask->dtype == DType::F32) {
    HideWhere(reinterpret_cast<const float*>(data), strides[2], count, scores,
              scores_stride, [](float value) { return value == 0; });
  } else {
    HideWhere(reinterpret_cast<const int32_t*>(data), strides[2], count, scores,
              scores_stride, [](int32_t value) { return value == 0; });
  }
}

AttentionProblem AttentionProblemOf(const KernelArgs& args) {
  const View &q = args.inputs[0], &k = args.inputs[1], &v = args.inputs[2];
  const int rank = q.rank;
  TL_CHECK(rank >= 3 && k.rank == rank && v.rank == rank);
  AttentionProblem problem{};
  problem.q = q;
  problem.k = k;
  problem.v = v;
  problem.batch = 1;
  for (int axis = 0; axis < rank - 3; ++axis) problem.batch *= q.dims[axis];
  problem.queries = q.dims[rank - 3];
  problem.heads = q.dims[rank - 2];
  problem.dim = q.dims[rank - 1];
  TL_CHECK(args.numbers.size() == 3);
  const auto given = static_cast<int64_t>(args.numbers[2]);
  problem.keys = given > 0 ? given : k.dims[rank - 3];
  problem.kv_heads = k.dims[rank - 2];
  problem.value_dim = v.dims[rank - 1];
  TL_CHECK(problem.kv_heads > 0 && problem.heads % problem.kv_heads == 0);
  TL_CHECK(v.dims[rank - 3] == k.dims[rank - 3] &&
           problem.keys <= k.dims[rank - 3]);
  problem.group = problem.heads / problem.kv_heads;
  problem.causal = args.ints[0] != 0;
  problem.mask = args.ints[1] != 0 ? &args.inputs[3] : nullptr;
  TL_CHECK(problem.mask == nullptr || problem.mask->rank == rank);
  problem.window = args.ints[2];
  problem.scale = static_cast<float>(args.numbers[0]);
  problem.softcap = static_cast<float>(args.numbers[1]);
  return problem;
}

}  // namespace tl::cpu
