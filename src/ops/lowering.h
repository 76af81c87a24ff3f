// How a call of the language becomes operations, written once for two readers.
//
// A tensor function (functions.def) is lowered by one C++ function over an
// abstract Lowering. The interpreter's Lowering makes graph nodes; the checker's
// only types, with dims that may be symbolic. So a wrong call gives the same
// message before the run as it would during it. Where the checker does not know
// something the result depends on, it throws NotKnown and leaves it to the run.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ref.h"
#include "ops/op.h"

namespace tl {

// A tensor of the program: a graph node, or a type in the checker.
class TensorValue : public RefCounted {
 public:
  explicit TensorValue(const TensorType& type) : type_(type) {}
  const TensorType& type() const { return type_; }
  const Shape& shape() const { return type_.shape; }
  DType dtype() const { return type_.dtype; }
  int rank() const { return type_.shape.rank(); }

 private:
  TensorType type_;
};

using TensorRef = Ref<TensorValue>;

// Thrown while checking only: the answer depends on what only the run knows.
struct NotKnown {};

class Lowering {
 public:
  virtual ~Lowering() = default;

  // The result type is ResultType(op, ...); fails as that does. Where an
  // operation has no integer form, int32 inputs are converted first.
  TensorRef Apply(OpId op, std::span<const TensorRef> inputs,
                  Attributes attributes);
  TensorRef Apply(OpId op, std::initializer_list<TensorRef> inputs,
                  Attributes attributes = {}) {
    return Apply(op, std::span(inputs.begin(), inputs.size()),
                 std::move(attributes));
  }
  // A rank-0 operand whose value is not part of the structure. I32 or F32.
  virtual TensorRef Number(double value, DType dtype) = 0;
  // The seed of the next unseeded random tensor.
  virtual uint64_t NextSeed() = 0;
  // The number in a tensor of one element, computed now.
  virtual double Read(const TensorRef&) { throw NotKnown{}; }

 private:
  virtual TensorRef Make(OpId op, std::span<const TensorRef> inputs,
                         Attributes attributes) = 0;
};

// One argument of a call, as far as it is known.
struct Argument {
  enum class Kind : uint8_t {
    kNone,     // the literal none, or absent without a default
    kTensor,
    kInt,      // `dim` holds it when it may be symbolic, else `integer`
    kFloat,
    kBool,
    kString,
    kList,     // of arguments
    kUnknown,  // checker only
  };

  Kind kind = Kind::kNone;
  TensorRef tensor;
  int64_t integer = 0;
  Dim dim;  // symbolic integer: used instead of `integer` if !dim.known()
  double real = 0;
  std::string_view text;
  std::vector<Argument> list;

  static Argument None() { return {}; }
  static Argument Of(TensorRef tensor);
  static Argument Int(int64_t value);
  static Argument Symbol(Dim dim);
  static Argument Float(double value);
  static Argument Bool(bool value);
  static Argument Text(std::string_view text);
  static Argument List(std::vector<Argument> list);
  static Argument Unknown();

  bool is(Kind k) const { return kind == k; }
  bool is_number() const { return kind == Kind::kInt || kind == Kind::kFloat; }
};

// What a message calls an argument: a text, or "softmax: 'dim'", which is put
// together only where it is said.
class ArgumentName {
 public:
  ArgumentName(const char* text) : text_(text) {}
  ArgumentName(std::string_view text) : text_(text) {}
  ArgumentName(std::string_view function, std::string_view parameter)
      : text_(function), parameter_(parameter) {}

  std::string ToString() const;

 private:
  std::string_view text_;
  std::string_view parameter_;  // empty where the text is all
};

// The arguments of one call, by position in the function's signature. The
// accessors convert as the language allows (a whole float where a size is
// wanted, a list of numbers where a tensor is) and fail by naming the function
// and the parameter; they throw NotKnown on kUnknown.
class Call {
 public:
  Call(std::string_view function, std::span<const std::string_view> parameters,
       std::span<const Argument> arguments, Lowering& lowering)
      : function_(function),
        parameters_(parameters),
        arguments_(arguments),
        lowering_(lowering) {}

  Lowering& lowering() const { return lowering_; }
  std::string_view function() const { return function_; }
  size_t size() const { return arguments_.size(); }
  const Argument& operator[](size_t i) const { return arguments_[i]; }
  bool has(size_t i) const;  // given and not none

  TensorRef Tensor(size_t i) const;
  std::vector<TensorRef> Tensors(size_t i) const;  // a list of tensors
  int64_t Int(size_t i) const;
  double Number(size_t i) const;  // any number: a run-time operand, 0 if unknown
  bool Flag(size_t i) const;
  std::string_view Text(size_t i) const;
  // An axis of a tensor of `rank`; negative counts from the end.
  int Axis(size_t i, int rank) const;
  std::vector<int> Axes(size_t i, int rank) const;  // an axis or a list of them
  Dim Size(size_t i) const;
  // The sizes of `f(2, 3)` and of `f([2, 3])`.
  struct SizeList {
    std::vector<Dim> dims;
    int inferred = -1;  // where a -1 stood (its dim is 1), or -1
  };
  SizeList Sizes(size_t i) const;
  // Fails if one of them was -1, where nothing can be inferred.
  void RequireGiven(const SizeList& sizes, size_t i) const;
  DType Type(size_t i, DType otherwise) const;  // "float16", DType names

  // Conversions of one argument, for functions that take several forms.
  TensorRef TensorOf(const Argument& argument, ArgumentName what) const;
  int64_t IntOf(const Argument& argument, ArgumentName what) const;
  Dim SizeOf(const Argument& argument, ArgumentName what) const;

  [[noreturn]] void FailAt(size_t i, std::string_view expected) const;

 private:
  ArgumentName Name(size_t i) const {
    return {function_, parameters_[i]};
  }
  TensorRef StackOf(const std::vector<Argument>& items,
                    ArgumentName what) const;

  std::string_view function_;
  std::span<const std::string_view> parameters_;
  std::span<const Argument> arguments_;
  Lowering& lowering_;
};

}  // namespace tl
