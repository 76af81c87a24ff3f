// What can be computed: operations, their attributes and their result types.
// Rows live in elementwise.def and structured.def; this file makes them
// askable. How an operation is computed is the backends' business; what the
// language calls it, and how its arguments become attributes, is functions.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/inline_vector.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace tl {

enum class OpId : uint8_t {
#define TL_UNARY(id, ...) id,
#define TL_BINARY(id, ...) id,
#define TL_TERNARY(id, ...) id,
#include "ops/elementwise.def"
#define TL_VIEW(id, ...) id,
#define TL_KERNEL(id, ...) id,
#include "ops/structured.def"
  kLeaf,    // a tensor with bytes
  kNumber,  // a number of the program: rank 0, its value a run-time argument
};

enum class OpClass : uint8_t { kElementwise, kView, kKernel, kLeaf };
enum class Domain : uint8_t { kNone, kFloat, kNumeric, kCompare, kSelect };
enum class Layout : uint8_t { kDense, kStrided };

struct OpInfo {
  std::string_view name;
  OpClass op_class;
  Domain domain;  // elementwise only
  Layout layout;  // kernels only
  bool takes_epilogue;  // kernels only
  int arity;      // -1 where the row says "any number", or optional inputs
};

const OpInfo& Info(OpId op);

// Everything about an application beside its inputs.
struct Attributes {
  // Axes, flags, counts: they shape the result, so they are part of a plan.
  InlineVector<int64_t, 6> ints;
  // Operands that are numbers (a scale, a start, an eps): handed to the kernel
  // at run time, never part of a plan.
  InlineVector<double, 3> numbers;
};

// The type of a value: what is known before anything is computed.
struct TensorType {
  DType dtype = DType::F16;
  Shape shape;
};

// F16 with F32 gives F32; I32 with a float type takes the float type; rank 0
// never changes the type of a tensor with axes.
DType Promote(std::span<const TensorType> types);

// NumPy's rule over known or symbolic dims. Fails where they cannot fit.
Shape BroadcastShapes(const Shape& a, const Shape& b);

// The result type of an op: the one place where shape and type rules live.
// Inputs may be symbolic. Fails with the shapes where they clash.
TensorType ResultType(OpId op, std::span<const TensorType> inputs,
                      const Attributes& attributes);

}  // namespace tl
