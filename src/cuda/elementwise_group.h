// A fused chain of elementwise ops as a kernel gets it: an ElementwiseProgram
// with its operands bound and neighbouring axes joined. Small enough to travel as
// the argument of a kernel. Run by elementwise.cu on its own, and by kernels with
// an epilogue on the results they hold (elementwise_run.cuh).
#pragma once

#include <span>

#include "exec/backend.h"

namespace tl::cuda {

struct ElementwiseGroup {
  static constexpr int kMaxValues = ElementwiseProgram::kMaxValues;

  enum class Access : uint8_t {
    kScalar,   // one element for all
    kFlat,     // element i for result i
    kRows,     // strided; along the last axis neighbours, or one for all
    kStrided,  // each element where its strides say
  };
  struct Input {
    const std::byte* data;
    int64_t strides[kMaxRank];  // in elements, over dims
    DType dtype;
    Access access;
  };
  // Read whole, in one load.
  struct alignas(8) Instruction {
    OpId op;
    DType dtype;  // what the result is rounded to
    bool int_lanes;
    uint8_t operands;
    uint8_t operand[3];
    uint8_t int_operands;  // bit k: operand k holds an int32
  };
  struct Output {
    std::byte* data;
    DType dtype;
    uint8_t value;
  };

  // With one input less than the program has, value 0 is handed over by the
  // kernel whose epilogue this is.
  ElementwiseGroup(const ElementwiseProgram& program,
                   std::span<const View> operands,
                   std::span<const View> results);

  int inputs = 0;        // values 0 .. inputs - 1
  int handed_over = 0;   // the first of them that are not read here
  int instructions = 0;
  int outputs = 0;
  int rank = 0;
  int64_t size = 0;
  int64_t dims[kMaxRank];
  DType dtypes[kMaxValues];  // of the values
  // Where each begins among them, in units of 16 bits an element: one of f16
  // takes one, others two.
  uint8_t slots[kMaxValues + 1];
  Input input[kMaxValues];
  Instruction instruction[kMaxValues];
  Output output[kMaxValues];

 private:
  void Join(std::span<const View> operands, const View& result);
  void Classify(Input& input) const;
};

// One operand as it is: the same bits, NaN payloads too.
bool IsCopy(const ElementwiseProgram& program);

}  // namespace tl::cuda
