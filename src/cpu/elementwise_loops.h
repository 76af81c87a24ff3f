// One loop per elementwise row: a block of operands in, a block of results out.
// The loops are compiled once per instruction set (elementwise_loops.cc);
// elementwise.cc strings them together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ops/op.h"
#include "tensor/dtype.h"

namespace tl::cpu {

// Where a loop reads one operand or writes its result.
struct LoopOperand {
  enum class Kind : uint8_t { kF16, kF32, kI32, kScalar };
  Kind kind;
  // Elements of the kind's type. Null for kScalar: one value for all elements,
  // given as float lanes and as int32 lanes see it.
  std::byte* data;
  float float_value;
  int32_t int_value;
};

LoopOperand::Kind KindOf(DType dtype);

// `count` is a multiple of kLoopStep. The operands are the row's arguments; the
// result is not a scalar. Results may overlap operands exactly, element on
// element of the same size.
using ElementwiseLoop = void (*)(const LoopOperand* operands,
                                 const LoopOperand& result, int64_t count);
inline constexpr int64_t kLoopStep = 32;

struct ElementwiseLoops {
  // By OpId. Halves take f16 in memory and give f16: they are for operations
  // that are f16 on all sides, and only for those, because their exp differs
  // from float lanes' in the last bits. Float lanes take and give any kind,
  // rounding once. Int lanes take int32 and give int32, and are null where the
  // row has no such form.
  std::span<const ElementwiseLoop> on_halves;
  std::span<const ElementwiseLoop> on_floats;
  std::span<const ElementwiseLoop> on_ints;
  // Past the caches. Followed by StreamFence before others may read.
  void (*stream)(std::byte* to, const std::byte* from, size_t bytes);
  void (*fence)();
};

// For the best instruction set of this machine.
const ElementwiseLoops& GetElementwiseLoops();

}  // namespace tl::cpu
