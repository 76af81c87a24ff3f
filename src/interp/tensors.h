// Tensors as the interpreter sees them: what the operators, subscripts and
// functions of the language do to them, and when their numbers are read. The
// machine knows only this class; nodes, plans and backends are behind it.
// Lists of numbers and plain numbers are operands as good as tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/free_list.h"
#include "interp/known_calls.h"
#include "interp/rope_tables.h"
#include "interp/value.h"
#include "lang/ast.h"
#include "lang/source.h"
#include "ops/functions.h"
#include "ops/lowering.h"

namespace tl {

struct TensorObject final : BoxedObject {
  explicit TensorObject(TensorRef ref)
      : BoxedObject(Tag::kTensor), ref(std::move(ref)) {}

  static void* operator new(size_t bytes) {
    return FreeList<TensorObject>::New(bytes);
  }
  static void operator delete(void* object) {
    FreeList<TensorObject>::Delete(object);
  }

  TensorRef ref;  // a graph Node
};

inline Value MakeTensorValue(TensorRef ref) {
  return Value::Adopt(new TensorObject(std::move(ref)));
}

// The value is a tensor.
inline TensorObject& AsTensorObject(const Value& value) {
  return *static_cast<TensorObject*>(
      static_cast<BoxedObject*>(value.object()));
}
inline const TensorRef& AsTensor(const Value& value) {
  return AsTensorObject(value).ref;
}

// One subscript with its values; those not written are none.
struct SubscriptValue {
  SubscriptKind kind = SubscriptKind::kIndex;
  const Value* index = nullptr;  // kIndex
  const Value* begin = nullptr;  // kSlice
  const Value* end = nullptr;
  const Value* step = nullptr;
};

// The numbers of a tensor as float32, row after row.
struct FloatRows {
  Shape shape;
  std::span<const float> values;
  std::vector<float> converted;  // what `values` is of, if not the tensor
  TensorRef tensor;
};

class TensorRuntime;

class Tensors {
 public:
  explicit Tensors(TensorRuntime& runtime) : runtime_(runtime) {}

  // Tensor function number `function` of Functions(), with all its arguments
  // in the order of its parameters.
  Value Call(uint16_t function, std::span<const Value> arguments, Span where);
  Value Binary(BinaryOp op, const Value& a, const Value& b, Span where);
  Value Negate(const Value& x, Span where);
  Value Index(const Value& x, std::span<const SubscriptValue> subscripts,
              Span where);
  // Replaces a part of x, in place where nobody else holds it. On failure x is
  // what it was.
  void Assign(Value& x, std::span<const SubscriptValue> subscripts,
              const Value& part, Span where);
  // One slice of the first axis, for loops; 0 <= row.
  Value Row(const Value& x, int64_t row, Span where);
  // A list or number as a tensor of the type it has as an operand.
  Value Convert(const Value& x, Span where);
  // A list or number as a tensor of this type; a tensor converted to it.
  Value Make(const Value& x, ElementType element, Span where);
  Value Zeros(std::span<const int64_t> shape, ElementType element, Span where);
  // `x` spread to a shape: a number everywhere, or a flat list of its count.
  Value Fill(const Value& x, std::span<const int64_t> shape,
             ElementType element, Span where);

  // A loop of the program turns. The next operation hands over what is pending: the
  // loops of numbers are spared all but a mark.
  void Turn() { turned_ = true; }
  // Marks what is made next as written there.
  void WriteAt(Span where);
  // The number in a tensor of one element, as an int or float value. Computes
  // it; fails, naming any/all or the shape, if there are more.
  Value Number(const Value& x);
  // All numbers of a tensor or list, computed now.
  FloatRows Floats(const Value& x, Span where);
  // The seed of the next random tensor, for what draws without one.
  uint64_t NextSeed();
  // All elements of a tensor, in order.
  std::vector<double> Numbers(const Value& x);
  // `x.name`, or an unset value if tensors have no such member.
  Value FindMember(const Value& x, std::string_view name, Span where);
  // As print shows it; `column` is where on the line it begins.
  std::string Format(const Value& x, int column);

  TensorRuntime& runtime() { return runtime_; }

 private:
  void EndTurn();
  // A result of a lowering as a value; starts a run when much is pending.
  Value Result(TensorRef ref);
  Value ResultOf(FunctionResult result);
  FunctionResult Lower(const FunctionInfo& info, std::span<const Value> arguments,
                       Lowering& lowering, Builder& builder);
  template <class F>
  Value Known(uint16_t function, std::span<const Value> arguments,
              Builder& builder, F lower);

  TensorRuntime& runtime_;
  RopeTables rope_;
  KnownCalls known_calls_;
  bool turned_ = false;  // since the last operation
};

}  // namespace tl
