// Runs a fused chain of elementwise ops block by block. A block's values stay
// in the first-level cache, each in its own type: an f16 value is stored as f16
// between two ops, which is the rounding that the op's result gets anyway.
// Operands that lie in memory as the result does are read where they are;
// others are gathered. Epilogues run with the same class. The loops
// themselves are in elementwise_loops.h.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "cpu/elementwise_loops.h"
#include "exec/backend.h"

namespace tl::cpu {

class ElementwiseGroup {
 public:
  // The views must outlive the group, and the outputs be row-major. Inputs may
  // broadcast to the outputs' dims by zero strides or by leaving axes out. With
  // one input less than the program has, value 0 is handed to RunFrom.
  ElementwiseGroup(const ElementwiseProgram& program,
                   std::span<const View> inputs, std::span<const View> outputs);

  int64_t size() const { return size_; }
  // Run is quickest on multiples of this many elements.
  int64_t block() const { return block_; }

  // Computes elements [begin, end) of every output, counted in row-major order.
  // Any number of threads may run different elements.
  void Run(int64_t begin, int64_t end) const { RunFrom(nullptr, begin, end); }

  // The same where value 0 of element begin + i is element i of `first`, of
  // type program.input_dtypes[0].
  void RunFrom(const std::byte* first, int64_t begin, int64_t end) const;

 private:
  static constexpr int kMaxValues = ElementwiseProgram::kMaxValues;

  struct Input {
    // kPeriodic: `data` is a copy of `period` elements, again and again.
    enum class Access : uint8_t { kScalar, kFlat, kPeriodic, kStrided };
    Access access;
    DType dtype;
    int element_bytes;
    std::byte* data;
    int64_t strides[kMaxRank];  // over dims_
    int64_t period;
  };
  struct Output {
    std::byte* data;
    int element_bytes;
    int value;
  };

  void Coalesce(std::span<const View> inputs, const View& output);
  void Classify(Input& input);
  int64_t PeriodOf(const Input& input) const;
  void MakePeriodic(Input& input, int64_t period);
  LoopOperand Bind(const Input& input, int64_t begin, int64_t count,
                   std::byte* buffer) const;
  LoopOperand BindStrided(const Input& input, int64_t begin, int64_t count,
                          std::byte* buffer) const;
  void Gather(const Input& input, int64_t begin, int64_t count,
              std::byte* to) const;
  LoopOperand PlaceResult(int value, DType dtype, int64_t begin, int64_t count,
                          std::byte* buffer) const;
  void Prefetch(int64_t begin, int part) const;
  void Execute(const ElementwiseProgram::Instruction& instruction,
               const LoopOperand* values, const LoopOperand& result,
               int64_t count) const;
  void RunBlock(const std::byte* first, int64_t begin, int64_t count,
                std::byte* scratch) const;
  void StoreOutputs(std::span<const LoopOperand> values, int64_t begin,
                    int64_t count) const;

  const ElementwiseProgram& program_;
  const ElementwiseLoops& loops_;
  int rank_ = 0;  // of the result with neighbouring axes joined
  std::array<int64_t, kMaxRank> dims_;
  int64_t size_ = 0;
  int64_t block_ = 0;
  int handed_over_ = 0;  // 1 where value 0 comes through RunFrom
  int output_count_ = 0;
  bool stream_ = false;
  std::array<Input, kMaxValues> inputs_;
  std::array<Output, kMaxValues> outputs_;
  std::vector<std::shared_ptr<std::byte>> copies_;  // periodic operands
};

}  // namespace tl::cpu
