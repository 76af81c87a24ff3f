// One operation of a MIL program about to be built: its inputs by their names
// in the specification, converted as its function asks for them. Accessors fail
// by naming the input; the program adds which operation it was.
// Source: coremltools, converters/mil/mil/ops/defs (inputs and defaults).
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coreml/value.h"

namespace tl::coreml {

// An input and what it is bound to: mostly one value, several for the inputs
// that take a tuple (concat's `values`).
struct MilInput {
  std::string_view name;
  std::vector<const Value*> values;
};

class MilCall {
 public:
  MilCall(Host& host, std::span<const MilInput> inputs, size_t outputs)
      : host_(host), inputs_(inputs), outputs_(outputs) {}

  Host& host() const { return host_; }
  Builder& lo() const { return host_.builder(); }
  // How many results the program takes.
  size_t outputs() const { return outputs_; }

  bool Has(std::string_view name) const { return Find(name) != nullptr; }

  TensorRef Tensor(std::string_view name) const;
  TensorRef OptionalTensor(std::string_view name) const;  // null if not given
  // Every value that the input is bound to, the items of a list one by one.
  std::vector<TensorRef> Tensors(std::string_view name) const;
  const Value& Get(std::string_view name) const;

  std::vector<int64_t> Ints(std::string_view name) const;
  std::vector<int64_t> Ints(std::string_view name,
                            std::vector<int64_t> otherwise) const;
  int64_t Int(std::string_view name) const;
  int64_t Int(std::string_view name, int64_t otherwise) const;
  double Number(std::string_view name) const;
  double Number(std::string_view name, double otherwise) const;
  bool Flag(std::string_view name, bool otherwise) const;
  std::string_view Text(std::string_view name,
                        std::string_view otherwise) const;

  // An axis of a tensor of this rank; a negative one counts from the end.
  int Axis(std::string_view name, int rank, int64_t otherwise) const;
  // Different axes, in the order given; all where the input is absent.
  std::vector<int> Axes(std::string_view name, int rank) const;

 private:
  const MilInput* Find(std::string_view name) const;

  Host& host_;
  std::span<const MilInput> inputs_;
  size_t outputs_;
};

// The results of an operation: nearly always one.
struct MilResult {
  MilResult(TensorRef tensor) { values.emplace_back(std::move(tensor)); }
  MilResult(Value value) { values.push_back(std::move(value)); }
  MilResult(std::vector<TensorRef> tensors)
      : values(tensors.begin(), tensors.end()) {}
  MilResult(std::vector<Value> values) : values(std::move(values)) {}

  std::vector<Value> values;
};

using MilFunction = MilResult (*)(const MilCall&);

// By the operation's type in the program; null for one that is not there.
MilFunction FindMilFunction(std::string_view type);

// For models with operations or layers that do not run here: `first` describes
// the one that is met first and `kind` is its kind, one of `kinds`, all that are
// missing.
[[noreturn]] void FailMissing(std::string_view first, const std::string& kind,
                              std::set<std::string> kinds);

// `axis` of a tensor of this rank, counted from the front. Fails out of range.
int AxisOf(int64_t axis, int rank);

}  // namespace tl::coreml
