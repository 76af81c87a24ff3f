// What calls of tensor functions become, remembered. A lowering (ops/lowering.h) sees
// of its arguments their types and the numbers and texts among them, and nothing else:
// a call where all of these are what they once were makes the same operations. Making
// them again costs half of lowering the call.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "graph/builder.h"
#include "interp/value.h"

namespace tl {

class KnownCalls {
 public:
  // A lowering that makes what the builder makes, and writes it down.
  class Record;

  // The result of the call on these arguments; null if it is not known.
  TensorRef Find(uint16_t function, std::span<const Value> arguments,
                 Builder& builder);
  // Whether it is worth a Record: it was asked for before. To be called after Find,
  // with the same arguments.
  bool IsWanted() const { return wanted_; }
  void Keep(Record record, const TensorRef& result);

 private:
  // Of an argument all that a lowering sees; a text is in the string.
  struct Seen {
    Tag tag;
    int64_t bits = 0;
    TensorType type;
    std::string text;

    static Seen Of(const Value& value);
    bool Is(const Value& value) const;
  };
  struct Source {
    enum class Kind : uint8_t { kArgument, kOperation };
    Kind kind;
    uint8_t index;
  };
  struct Operation {
    OpId op;
    TensorType type;
    Attributes attributes;
    InlineVector<Source, 3> inputs;
  };
  struct Call {
    uint16_t function;
    std::vector<Seen> arguments;
    std::vector<Operation> operations;
    Source result;

    bool Is(uint16_t other, std::span<const Value> given) const;
    TensorRef Make(std::span<const Value> given, Builder& builder) const;
  };
  struct Place {
    uint64_t hash = 0;  // of what was asked for last
    std::unique_ptr<Call> call;
  };
  // Two calls of the same place drive each other out.
  static constexpr size_t kPlaces = 1024;
  static constexpr size_t kMostOperations = 64;

  std::vector<Place> places_{kPlaces};
  Place* place_ = nullptr;  // where the last call that was asked for belongs
  bool wanted_ = false;
};

class KnownCalls::Record final : public Lowering {
 public:
  Record(uint16_t function, std::span<const Value> arguments, Builder& builder);

  TensorRef Number(double value, DType dtype) override;
  uint64_t NextSeed() override;
  double Read(const TensorRef& tensor) override;

 private:
  friend class KnownCalls;
  TensorRef Make(OpId op, std::span<const TensorRef> inputs,
                 Attributes attributes) override;
  // Of a tensor of this call; else it cannot be made again.
  Source SourceOf(const TensorRef& tensor);

  Builder& builder_;
  std::vector<TensorRef> given_;  // null for what is no tensor
  std::vector<TensorRef> made_;
  std::unique_ptr<Call> call_;
  bool fits_ = true;
};

}  // namespace tl
