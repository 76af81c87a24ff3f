// What running a CoreML model needs from whoever runs it: a graph to grow, the
// model's tensors, and now and then a number (a loop's condition, a shape that
// the program computes). Room interp implements it.
#pragma once

#include <string_view>

#include "graph/builder.h"

namespace tl::coreml {

class Host {
 public:
  virtual ~Host() = default;

  virtual Builder& builder() = 0;
  // The type that every float of the program is computed in: F16 or F32. What
  // the program itself says ("cast to fp16") chooses storage, which is ours.
  virtual DType dtype() const = 0;
  // The tensor of the model that has this name now, in dtype().
  virtual TensorRef Weight(std::string_view name) = 0;
  // The elements of a tensor, computed now.
  virtual const Tensor& Evaluate(const TensorRef& tensor) = 0;
  // Between the rounds of a loop: computes what is held once a lot is pending.
  virtual void MayRun() = 0;
};

}  // namespace tl::coreml
