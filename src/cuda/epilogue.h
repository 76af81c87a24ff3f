// What follows a kernel's result where the kernel does not run it itself: the
// result is computed aside and the chain runs over it.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "cuda/elementwise_group.h"
#include "exec/backend.h"

namespace tl::cuda {

class Epilogue {
 public:
  explicit Epilogue(const KernelArgs& args);

  bool empty() const { return args_.program == nullptr; }

  // args.inputs without those that are the chain's.
  std::span<const View> operands() const { return operands_; }

  // For a kernel that runs the chain itself; null where there is none.
  const ElementwiseGroup* group();

  // Where a kernel that does not is to put its dense results, of args.dtype; then
  // Run() does the rest.
  std::byte* aside();
  void Run();

  // If the chain only adds a vector along the last axis, without rounding the
  // result first: that, and results are then of the type of outputs[0], and to be
  // put there. Null where it does something else.
  const std::byte* bias() const { return bias_; }

 private:
  const std::byte* FindBias() const;

  const KernelArgs& args_;
  std::span<const View> operands_, more_;
  const std::byte* bias_ = nullptr;
  std::optional<ElementwiseGroup> group_;
  std::shared_ptr<std::byte> aside_;
};

// From any strides to dense `to` of another type.
void Convert(const View& from, const View& to);

// A dense view with the dims of `like`.
View DenseView(const View& like, DType dtype, std::byte* data);

}  // namespace tl::cuda
