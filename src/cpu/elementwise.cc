#include "cpu/elementwise.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/strided_copy.h"
#include "tensor/tensor.h"

namespace tl::cpu {
namespace {

using Kind = LoopOperand::Kind;

// All values of a block: they share a first-level cache of 32 KB or more with
// the operands that are read in place, and seldom are all of them in use.
constexpr int64_t kScratchBytes = 48 << 10;
constexpr int64_t kLargestBlock = 1024;
constexpr int64_t kValueBytes = 4;  // of the widest type

// A chunk of work for a thread: some 5 us of the cheapest chain.
constexpr int64_t kChunkElements = 32 << 10;

// Results at least this large are written past the caches: the next op will
// not find them there, and a line written past them need not be read first.
constexpr int64_t kStreamBytes = 16 << 20;

constexpr int64_t kLineBytes = 64;

// An operand that comes again after at most so many elements (a bias, a row of
// weights) is laid out behind itself and then read in place.
constexpr int64_t kLargestPeriod = 8 << 10;

// A transposed operand with fewer elements stays in the caches while it is
// read across its lines.
constexpr int64_t kWorthTransposing = 16 << 10;

LoopOperand At(DType dtype, std::byte* data) {
  return {KindOf(dtype), data, 0, 0};
}

// One element for a whole block. An f16 one is laid out as any other f16
// operand, so that which loop runs, and with it the last bit, depends on types
// alone.
LoopOperand ScalarAt(DType dtype, const std::byte* data, int64_t count,
                     std::byte* buffer) {
  LoopOperand scalar = {Kind::kScalar, nullptr, 0, 0};
  switch (KindOf(dtype)) {
    case Kind::kF16:
      std::fill_n(reinterpret_cast<uint16_t*>(buffer),
                  (count + kLoopStep - 1) / kLoopStep * kLoopStep,
                  *reinterpret_cast<const uint16_t*>(data));
      return At(dtype, buffer);
    case Kind::kF32:
      scalar.float_value = *reinterpret_cast<const float*>(data);
      break;
    case Kind::kI32:
    case Kind::kScalar:
      scalar.int_value = *reinterpret_cast<const int32_t*>(data);
      scalar.float_value = static_cast<float>(scalar.int_value);
      break;
  }
  return scalar;
}

template <class T>
void CopyRun(std::byte* to, const std::byte* from, int64_t stride,
             int64_t count) {
  T* out = reinterpret_cast<T*>(to);
  const T* in = reinterpret_cast<const T*>(from);
  if (stride == 1) {
    std::copy_n(in, count, out);
  } else if (stride == 0) {
    std::fill_n(out, count, *in);
  } else {
    for (int64_t i = 0; i < count; ++i) out[i] = in[i * stride];
  }
}

void CopyRun(int element_bytes, std::byte* to, const std::byte* from,
             int64_t stride, int64_t count) {
  if (element_bytes == 2) {
    CopyRun<uint16_t>(to, from, stride, count);
  } else {
    CopyRun<uint32_t>(to, from, stride, count);
  }
}

int64_t RoundUp(int64_t n, int64_t step) {
  return (n + step - 1) / step * step;
}

}  // namespace

ElementwiseGroup::ElementwiseGroup(const ElementwiseProgram& program,
                                   std::span<const View> inputs,
                                   std::span<const View> outputs)
    : program_(program), loops_(GetElementwiseLoops()) {
  const int values =
      program.inputs + static_cast<int>(program.instructions.size());
  handed_over_ = program.inputs - static_cast<int>(inputs.size());
  output_count_ = static_cast<int>(outputs.size());
  TL_CHECK(values <= kMaxValues && output_count_ > 0);
  TL_CHECK(handed_over_ == 0 || handed_over_ == 1);
  TL_CHECK(program.outputs.size() == outputs.size());

  size_ = outputs[0].size();
  block_ = std::min(kLargestBlock, kScratchBytes / kValueBytes / values /
                                       kLoopStep * kLoopStep);
  Coalesce(inputs, outputs[0]);
  int64_t bytes = 0;
  for (int i = 0; i < output_count_; ++i) {
    const int element = static_cast<int>(ElementBytes(outputs[i].dtype));
    outputs_[i] = {outputs[i].data, element, program.outputs[i]};
    bytes += size_ * element;
  }
  stream_ = bytes >= kStreamBytes;
}

// Fills dims_ and the inputs: axes of one element go, and neighbouring axes are
// joined where every input walks over them in one stride.
void ElementwiseGroup::Coalesce(std::span<const View> inputs,
                                const View& output) {
  const int count = static_cast<int>(inputs.size());
  for (int i = 0; i < count; ++i) {
    const View& view = inputs[i];
    inputs_[handed_over_ + i] = {
        {},        view.dtype, static_cast<int>(ElementBytes(view.dtype)),
        view.data, {},         0};
  }
  for (int axis = 0; axis < output.rank; ++axis) {
    const int64_t dim = output.dims[axis];
    if (dim == 1) continue;
    bool joined = rank_ > 0;
    int64_t strides[kMaxValues];
    for (int i = 0; i < count; ++i) {
      const int from = axis - (output.rank - inputs[i].rank);
      strides[i] =
          from < 0 || inputs[i].dims[from] == 1 ? 0 : inputs[i].strides[from];
      const Input& input = inputs_[handed_over_ + i];
      joined = joined && input.strides[rank_ - 1] == strides[i] * dim;
    }
    if (joined) {
      dims_[rank_ - 1] *= dim;
    } else {
      dims_[rank_++] = dim;
    }
    for (int i = 0; i < count; ++i) {
      inputs_[handed_over_ + i].strides[rank_ - 1] = strides[i];
    }
  }
  if (rank_ == 0) dims_[rank_++] = 1;
  for (int i = 0; i < count; ++i) Classify(inputs_[handed_over_ + i]);
}

void ElementwiseGroup::Classify(Input& input) {
  bool scalar = true, flat = true;
  int64_t dense = 1;
  for (int axis = rank_ - 1; axis >= 0; --axis) {
    scalar = scalar && input.strides[axis] == 0;
    flat = flat && input.strides[axis] == dense;
    dense *= dims_[axis];
  }
  const int64_t period = PeriodOf(input);
  if (scalar) {
    input.access = Input::Access::kScalar;
  } else if (flat) {
    input.access = Input::Access::kFlat;
  } else if (period <= kLargestPeriod && size_ >= 4 * period) {
    MakePeriodic(input, period);
  } else {
    input.access = Input::Access::kStrided;
  }
}

// After how many elements an operand that broadcasts along the outer axes comes
// again; size_ for the others.
int64_t ElementwiseGroup::PeriodOf(const Input& input) const {
  int64_t period = size_;
  for (int axis = 0; axis < rank_ && input.strides[axis] == 0; ++axis) {
    period /= dims_[axis];
  }
  return period;
}

// A copy long enough that a block that starts anywhere in the period can be
// read from one place.
void ElementwiseGroup::MakePeriodic(Input& input, int64_t period) {
  const int64_t count = period + block_ + kLoopStep;
  std::shared_ptr<std::byte> copy = AllocateHost(count * input.element_bytes);
  Gather(input, 0, period, copy.get());
  for (int64_t have = period; have < count; have *= 2) {
    std::memcpy(copy.get() + have * input.element_bytes, copy.get(),
                std::min(have, count - have) * input.element_bytes);
  }
  input.access = Input::Access::kPeriodic;
  input.data = copy.get();
  input.period = period;
  copies_.push_back(std::move(copy));
}

// Elements [begin, begin + count) of an input, read in place where they lie in
// a row and fill whole vectors.
LoopOperand ElementwiseGroup::Bind(const Input& input, int64_t begin,
                                   int64_t count, std::byte* buffer) const {
  const bool whole = count % kLoopStep == 0;
  switch (input.access) {
    case Input::Access::kScalar:
      return ScalarAt(input.dtype, input.data, count, buffer);
    case Input::Access::kFlat: {
      std::byte* from = input.data + begin * input.element_bytes;
      if (whole) return At(input.dtype, from);
      std::memcpy(buffer, from, count * input.element_bytes);
      break;
    }
    case Input::Access::kPeriodic:
      return At(input.dtype,
                input.data + begin % input.period * input.element_bytes);
    case Input::Access::kStrided:
      return BindStrided(input, begin, count, buffer);
  }
  return At(input.dtype, buffer);
}

LoopOperand ElementwiseGroup::BindStrided(const Input& input, int64_t begin,
                                          int64_t count,
                                          std::byte* buffer) const {
  const int64_t row = dims_[rank_ - 1];
  const int64_t stride = input.strides[rank_ - 1];
  if (begin % row + count <= row && stride <= 1 && stride >= 0) {
    int64_t offset = 0, rest = begin;
    for (int axis = rank_ - 1; axis >= 0; --axis) {
      offset += rest % dims_[axis] * input.strides[axis];
      rest /= dims_[axis];
    }
    std::byte* from = input.data + offset * input.element_bytes;
    if (stride == 0) return ScalarAt(input.dtype, from, count, buffer);
    if (count % kLoopStep == 0) return At(input.dtype, from);
  }
  Gather(input, begin, count, buffer);
  return At(input.dtype, buffer);
}

void ElementwiseGroup::Gather(const Input& input, int64_t begin, int64_t count,
                              std::byte* to) const {
  const int inner = rank_ - 1;
  int64_t place[kMaxRank];
  int64_t offset = 0, rest = begin;
  for (int axis = inner; axis >= 0; --axis) {
    place[axis] = rest % dims_[axis];
    offset += place[axis] * input.strides[axis];
    rest /= dims_[axis];
  }
  while (true) {
    const int64_t run = std::min(count, dims_[inner] - place[inner]);
    CopyRun(input.element_bytes, to, input.data + offset * input.element_bytes,
            input.strides[inner], run);
    count -= run;
    if (count == 0) return;
    to += run * input.element_bytes;
    offset -= place[inner] * input.strides[inner];
    place[inner] = 0;
    int axis = inner - 1;
    while (place[axis] + 1 == dims_[axis]) {
      offset -= place[axis] * input.strides[axis];
      place[axis--] = 0;
    }
    ++place[axis];
    offset += input.strides[axis];
  }
}

// Only the last result goes straight to its output: until then an input that
// the output replaces in place may still be read.
LoopOperand ElementwiseGroup::PlaceResult(int value, DType dtype, int64_t begin,
                                          int64_t count,
                                          std::byte* buffer) const {
  const int last =
      program_.inputs + static_cast<int>(program_.instructions.size()) - 1;
  if (value == last && !stream_ && count % kLoopStep == 0) {
    for (int i = 0; i < output_count_; ++i) {
      const Output& output = outputs_[i];
      if (output.value != value) continue;
      return At(dtype, output.data + begin * output.element_bytes);
    }
  }
  return At(dtype, buffer);
}

// Asks for the operands of the next block while this one is computed, each
// instruction for its share: the processor's own prefetching stops whenever a
// loop does not touch a stream, so memory would rest during exp.
void ElementwiseGroup::Prefetch(int64_t begin, int part) const {
  if (begin >= size_) return;
  const int64_t count = std::min(block_, size_ - begin);
  const int64_t parts = static_cast<int64_t>(program_.instructions.size());
  for (int i = handed_over_; i < program_.inputs; ++i) {
    const Input& input = inputs_[i];
    if (input.access != Input::Access::kFlat) continue;
    const std::byte* from = input.data + begin * input.element_bytes;
    const int64_t bytes = count * input.element_bytes;
    const int64_t end = bytes * (part + 1) / parts;
    for (int64_t at = bytes * part / parts; at < end; at += kLineBytes) {
      __builtin_prefetch(from + at);
    }
  }
}

void ElementwiseGroup::Execute(
    const ElementwiseProgram::Instruction& instruction,
    const LoopOperand* values, const LoopOperand& result, int64_t count) const {
  LoopOperand operands[3];
  bool halves = result.kind == Kind::kF16;
  const int arity = Info(instruction.op).arity;
  for (int i = 0; i < arity; ++i) {
    operands[i] = values[instruction.operand[i]];
    halves = halves && operands[i].kind == Kind::kF16;
  }
  const auto& loops = instruction.int_lanes ? loops_.on_ints
                      : halves              ? loops_.on_halves
                                            : loops_.on_floats;
  loops[static_cast<size_t>(instruction.op)](operands, result, count);
}

void ElementwiseGroup::RunBlock(const std::byte* first, int64_t begin,
                                int64_t count, std::byte* scratch) const {
  LoopOperand values[kMaxValues];
  const auto buffer = [&](int value) {
    return scratch + value * block_ * kValueBytes;
  };
  if (handed_over_ == 1) {
    const DType dtype = program_.input_dtypes[0];
    values[0] = At(dtype, const_cast<std::byte*>(first));
    if (count % kLoopStep != 0) {
      std::memcpy(buffer(0), first, count * ElementBytes(dtype));
      values[0].data = buffer(0);
    }
  }
  for (int i = handed_over_; i < program_.inputs; ++i) {
    values[i] = Bind(inputs_[i], begin, count, buffer(i));
  }
  int value = program_.inputs;
  for (const auto& instruction : program_.instructions) {
    Prefetch(begin + block_, value - program_.inputs);
    values[value] =
        PlaceResult(value, instruction.dtype, begin, count, buffer(value));
    Execute(instruction, values, values[value], RoundUp(count, kLoopStep));
    ++value;
  }
  StoreOutputs({values, static_cast<size_t>(value)}, begin, count);
}

void ElementwiseGroup::StoreOutputs(std::span<const LoopOperand> values,
                                    int64_t begin, int64_t count) const {
  for (int i = 0; i < output_count_; ++i) {
    const Output& output = outputs_[i];
    const LoopOperand& from = values[output.value];
    std::byte* to = output.data + begin * output.element_bytes;
    if (from.kind == Kind::kScalar) {  // a broadcast input, copied
      Gather(inputs_[output.value], begin, count, to);
    } else if (from.data != to) {
      const int64_t bytes = count * output.element_bytes;
      if (stream_) {
        loops_.stream(to, from.data, bytes);
      } else {
        std::memcpy(to, from.data, bytes);
      }
    }
  }
}

void ElementwiseGroup::RunFrom(const std::byte* first, int64_t begin,
                               int64_t end) const {
  alignas(64) std::byte scratch[kScratchBytes];
  const int64_t step =
      handed_over_ == 1 ? ElementBytes(program_.input_dtypes[0]) : 0;
  for (int64_t at = begin; at < end; at += block_) {
    const int64_t count = std::min(block_, end - at);
    RunBlock(first + (at - begin) * step, at, count, scratch);
  }
  if (stream_) loops_.fence();
}

namespace {

// Contiguous along another axis than the result: each element read would be
// another cache line.
bool IsTransposed(const View& view) {
  int64_t elements = 1, inner_stride = 0;
  bool contiguous_elsewhere = false;
  for (int axis = 0; axis < view.rank; ++axis) {
    if (view.dims[axis] == 1) continue;
    inner_stride = view.strides[axis];
    contiguous_elsewhere = contiguous_elsewhere || inner_stride == 1;
    if (inner_stride != 0) elements *= view.dims[axis];
  }
  return contiguous_elsewhere && inner_stride != 0 && inner_stride != 1 &&
         elements >= kWorthTransposing;
}

struct DenseCopy {
  View view;
  std::shared_ptr<std::byte> block;
};

// The same operand, row-major along the axes that it does not broadcast along.
DenseCopy Transpose(const View& view) {
  View from = view;
  for (int axis = 0; axis < view.rank; ++axis) {
    if (view.strides[axis] == 0) from.dims[axis] = 1;
  }
  View to = from;
  int64_t stride = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    to.strides[axis] = stride;
    stride *= to.dims[axis];
  }
  DenseCopy copy = {view, AllocateHost(stride * ElementBytes(view.dtype))};
  to.data = copy.block.get();
  CopyStrided(to, from);
  copy.view.data = to.data;
  for (int axis = 0; axis < view.rank; ++axis) {
    if (view.strides[axis] != 0) copy.view.strides[axis] = to.strides[axis];
  }
  return copy;
}

// Nothing but a change of layout.
bool IsTransposition(const KernelArgs& args) {
  const ElementwiseProgram& program = *args.program;
  if (program.inputs != 1 || program.instructions.size() != 1 ||
      program.outputs != std::vector<uint8_t>{1}) {
    return false;
  }
  const View &from = args.inputs[0], &to = args.outputs[0];
  return program.instructions[0].op == OpId::Identity &&
         from.dtype == to.dtype && from.rank == to.rank &&
         std::equal(from.dims, from.dims + from.rank, to.dims) &&
         IsTransposed(from);
}

}  // namespace

void Elementwise(const KernelArgs& args) {
  TL_CHECK(args.program != nullptr);
  if (IsTransposition(args)) {
    return CopyStrided(args.outputs[0], args.inputs[0]);
  }
  std::vector<View> inputs(args.inputs.begin(), args.inputs.end());
  std::vector<DenseCopy> copies;
  for (View& input : inputs) {
    if (!IsTransposed(input)) continue;
    copies.push_back(Transpose(input));
    input = copies.back().view;
  }
  const ElementwiseGroup group(*args.program, inputs, args.outputs);
  const int64_t grain =
      std::max(int64_t{1}, kChunkElements / group.block()) * group.block();
  ParallelFor(group.size(), grain,
              [&](int64_t begin, int64_t end) { group.Run(begin, end); });
}

}  // namespace tl::cpu
