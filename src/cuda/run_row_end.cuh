// What becomes of the products of a RowsStep (run_rows.cuh, run_slices.cuh).
#pragma once

#include "cuda/handed_row.cuh"
#include "cuda/run_steps.cuh"
#include "cuda/small_group.cuh"

namespace tl::cuda {

// Where it is wanted.
TL_DEVICE void StoreHalf(std::byte* out, int at, uint16_t half) {
  if (out != nullptr) reinterpret_cast<uint16_t*>(out)[at] = half;
}

// The result of a step, to the one that waits for it first.
TL_DEVICE void StoreResult(const RowsStep& step, std::byte* out, int at,
                           uint16_t half) {
  if (step.handed_out != nullptr) {
    HandOn(step.handed_out, at, half, step.number_out);
  }
  StoreHalf(out, at, half);
}

// What RunRope does, of element `row` of a part and its neighbour.
TL_DEVICE uint16_t Turned(int row, uint16_t half, uint16_t neighbour, float cos,
                          float sin) {
  const float own = __fmul_rn(FromHalf(half), cos);
  const float other = __fmul_rn(FromHalf(neighbour), sin);
  return ToHalf(row % 2 == 0 ? __fsub_rn(own, other) : __fadd_rn(own, other));
}

// What becomes of the product that is result `row`; `beside` is the operand,
// where there is one.
TL_DEVICE void EndRow(const RowsStep& step, int row, float product,
                      uint16_t beside) {
  const float rounded = FromHalf(ToHalf(product)), other = FromHalf(beside);
  uint32_t result = 0;
  switch (step.end) {
    case RowsEnd::kAdd:
      result = RunHalf<OpId::Add>(rounded, other);
      break;
    case RowsEnd::kMul:
      result = RunHalf<OpId::Mul>(rounded, other);
      break;
    case RowsEnd::kSilu:
      result = RunHalf<OpId::Silu>(rounded, 0);
      break;
    case RowsEnd::kGroup: {
      const bool is_half = step.result_dtype == DType::F16;
      return RunGroupAt(step.group, row,
                        __float_as_uint(is_half ? rounded : product));
    }
    case RowsEnd::kStore: {
      const PartOfRow at = PartOf(step, row);
      const RowsPart& part = step.part[at.part];
      const uint32_t bits = __float_as_uint(product);
      if (step.handed_out != nullptr) {
        HandOn(step.handed_out, row, ToHalf(product), step.number_out);
      }
      if (part.out) StoreValue(part.out, step.result_dtype, at.row, bits);
      if (part.also) StoreValue(part.also, step.result_dtype, at.row, bits);
      return;
    }
    case RowsEnd::kTurn:
    case RowsEnd::kGated:
      return;  // with their neighbours: Turn and Gate
  }
  StoreResult(step, step.part[0].out, row, ToHalf(__uint_as_float(result)));
}

// The result that a lane has to end: it asks for what goes with it before the
// product is there.
class LaneRow {
 public:
  TL_DEVICE explicit LaneRow(const RowsStep& step) : step_(step) {}

  // Of row `row`, if the lane has one.
  TL_DEVICE void Begin(int row, bool has) {
    row_ = row;
    if (!has) return;
    if (step_.operand != nullptr) {
      operand_ = reinterpret_cast<const uint16_t*>(step_.operand)[row];
    }
    if (step_.end == RowsEnd::kTurn) {
      const int angle =
          (PartOf(step_, row).row & (step_.head_elements - 1)) / 2;
      cos_ = reinterpret_cast<const float*>(step_.cos)[angle];
      sin_ = reinterpret_cast<const float*>(step_.sin)[angle];
    }
  }

  // By whole warps, whose rows are neighbours in pairs.
  TL_DEVICE void End(float product, bool has) const {
    if (step_.end == RowsEnd::kTurn) return Turn(product, has);
    if (step_.end == RowsEnd::kGated) return Gate(product, has);
    if (has) EndRow(step_, row_, product, operand_);
  }

 private:
  TL_DEVICE static uint16_t OfNeighbour(uint16_t half) {
    return static_cast<uint16_t>(__shfl_xor_sync(kFullWarp, uint32_t{half}, 1));
  }

  TL_DEVICE void Turn(float product, bool has) const {
    const uint16_t half = ToHalf(product), neighbour = OfNeighbour(half);
    if (!has) return;
    const PartOfRow at = PartOf(step_, row_);
    const RowsPart& part = step_.part[at.part];
    const uint16_t turned =
        part.turns ? Turned(at.row, half, neighbour, cos_, sin_) : half;
    if (step_.handed_out != nullptr) {
      HandOn(step_.handed_out, row_, turned, step_.number_out);
    }
    StoreHalf(part.out, at.row, half);
    StoreHalf(part.also, at.row, half);
    if (!part.turns) return;
    StoreHalf(part.turned, at.row, turned);
    StoreHalf(part.turned_also, at.row, turned);
  }
  TL_DEVICE void Gate(float product, bool has) const {
    const float own = FromHalf(ToHalf(product));
    const uint16_t gate = ToHalf(__uint_as_float(RunHalf<OpId::Silu>(own, 0)));
    const float other = FromHalf(OfNeighbour(gate));
    if (!has) return;
    const PartOfRow at = PartOf(step_, row_);
    if (at.part == 0) return StoreHalf(step_.part[0].out, at.row, gate);
    StoreResult(step_, step_.part[1].out, at.row,
                ToHalf(__uint_as_float(RunHalf<OpId::Mul>(own, other))));
  }

  const RowsStep& step_;
  int row_ = 0;
  uint16_t operand_ = 0;
  float cos_ = 0, sin_ = 0;
};

}  // namespace tl::cuda
