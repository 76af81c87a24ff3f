// Running a CoreML model from a program: `m.predict(...)`, `m.inputs`,
// `m.outputs`. What runs is room coreml's; here are the program's values around
// it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "interp/value.h"

namespace tl {

class Model;
class OpenModel;
class TensorRuntime;

class ModelRunner {
 public:
  // `open` must outlive this.
  ModelRunner(OpenModel& open, TensorRuntime& runtime);
  ~ModelRunner();

  // The arguments of m.predict(): tensors, numbers or lists of numbers by the
  // inputs' names; one without a name where the model has one input. One output
  // gives its value, several (and those of a classifier) a map by name.
  Value Predict(std::span<const Value> arguments,
                const std::vector<std::string>& names);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Maps with the name, type and shape of each; unset where the model is not one
// that describes them.
Value DescribeInputs(const Model& model);
Value DescribeOutputs(const Model& model);

}  // namespace tl
