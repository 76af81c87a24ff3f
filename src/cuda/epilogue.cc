#include "cuda/epilogue.h"

#include <vector>

#include "cuda/kernels.h"
#include "cuda/runtime.h"

namespace tl::cuda {

View DenseView(const View& like, DType dtype, std::byte* data) {
  View view = like;
  view.data = data;
  view.dtype = dtype;
  int64_t stride = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    view.strides[axis] = stride;
    stride *= view.dims[axis];
  }
  return view;
}

void Convert(const View& from, const View& to) {
  ElementwiseProgram program;
  program.inputs = 1;
  program.input_dtypes = {from.dtype};
  program.instructions = {{OpId::Identity, to.dtype, false, {0, 0, 0}}};
  program.outputs = {1};
  KernelArgs args;
  args.inputs = {&from, 1};
  args.outputs = {&to, 1};
  args.program = &program;
  Elementwise(args);
}

Epilogue::Epilogue(const KernelArgs& args) : args_(args) {
  const size_t more = empty() ? 0 : args.program->inputs - 1;
  operands_ = args.inputs.first(args.inputs.size() - more);
  more_ = args.inputs.last(more);
  bias_ = FindBias();
}

const std::byte* Epilogue::FindBias() const {
  if (empty() || args_.dtype != DType::F32 || args_.program->inputs != 2) {
    return nullptr;
  }
  const ElementwiseProgram& program = *args_.program;
  const View& y = args_.outputs[0];
  const View& bias = more_[0];
  const auto& steps = program.instructions;
  const bool adds = !steps.empty() && steps[0].op == OpId::Add &&
                    steps[0].dtype == DType::F32 && steps[0].operand[0] == 0 &&
                    steps[0].operand[1] == 1;
  const bool rounds = steps.size() == 2 && steps[1].op == OpId::Identity &&
                      steps[1].operand[0] == 2 && steps[1].dtype == y.dtype;
  const bool last = program.outputs.size() == 1 &&
                    program.outputs[0] == program.inputs + steps.size() - 1;
  if (!adds || !last || (steps.size() != 1 && !rounds)) return nullptr;
  if (bias.dtype != y.dtype || bias.rank == 0) return nullptr;
  const int axis = bias.rank - 1;
  for (int i = 0; i < axis; ++i) {
    if (bias.dims[i] != 1 && bias.strides[i] != 0) return nullptr;
  }
  const bool along = bias.dims[axis] == y.dims[y.rank - 1] &&
                     (bias.strides[axis] == 1 || bias.dims[axis] == 1);
  return along ? bias.data : nullptr;
}

const ElementwiseGroup* Epilogue::group() {
  if (empty()) return nullptr;
  if (!group_) group_.emplace(*args_.program, more_, args_.outputs);
  return &*group_;
}

std::byte* Epilogue::aside() {
  if (empty()) return args_.outputs[0].data;
  if (aside_ == nullptr) {
    aside_ = Allocate(args_.outputs[0].size() * ElementBytes(args_.dtype));
  }
  return aside_.get();
}

void Epilogue::Run() {
  if (empty()) return;
  std::vector<View> inputs = {
      DenseView(args_.outputs[0], args_.dtype, aside_.get())};
  inputs.insert(inputs.end(), more_.begin(), more_.end());
  KernelArgs args = args_;
  args.inputs = inputs;
  Elementwise(args);
}

}  // namespace tl::cuda
