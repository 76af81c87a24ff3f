// A plan: what will run, in order, for one structure of graph. It holds no
// memory, no node and no number of the program, so one plan serves every graph
// of the same structure: numbers, leaves and results are bound when it runs.
// Made by planner.h, run by executor.h, printed by plan_print.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "exec/backend.h"

namespace tl {

// Strided elements of a leaf, of a slot (memory that a step writes), or a
// number of the program.
struct Operand {
  enum class Source : uint8_t { kLeaf, kSlot, kNumber };
  // offset += numbers[number] * stride: a slice start is a run-time argument.
  struct Term {
    int32_t number;
    int64_t stride;
    friend bool operator==(const Term&, const Term&) = default;
  };

  Source source = Source::kLeaf;
  int32_t index = 0;  // of the leaf, the slot or the number
  DType dtype = DType::F16;
  int rank = 0;
  std::array<int64_t, kMaxRank> dims{};
  std::array<int64_t, kMaxRank> strides{};
  int64_t offset = 0;  // in elements
  std::vector<Term> terms;

  int64_t size() const;
  bool dense() const;  // row-major without gaps; any offset
  friend bool operator==(const Operand&, const Operand&) = default;
};

struct Slot {
  DType dtype;
  Shape shape;
  int producer;        // the step that writes it
  bool kept = false;   // a result: outlives the plan
  // Where it lies in the scratch memory that all small slots share, or -1 for
  // memory of its own.
  int64_t offset = -1;
};

struct Step {
  OpId op;       // Identity: the elementwise program alone
  DType dtype;   // result type of `op`
  Shape shape;   // result shape of `op`, the iteration space of the program
  std::vector<Operand> inputs;
  std::vector<int32_t> outputs;  // slots
  std::vector<int64_t> ints;
  // Its run-time arguments: so many from this one on.
  int32_t first_number = 0;
  int32_t numbers = 0;
  ElementwiseProgram program;    // empty where op has none
  int32_t node = 0;              // whose failure it is; index in plan order
  // After the step these slots are dead.
  std::vector<int32_t> releases;
  // outputs[0] takes the memory of inputs[donor]: of a slot, or of a leaf if
  // the run finds that nobody else holds it.
  int32_t donor = -1;

  bool has_program() const { return !program.instructions.empty(); }
};

struct Plan {
  struct Result {
    int32_t node;  // index in plan order
    Operand operand;  // dense
  };

  std::vector<Step> steps;
  std::vector<Slot> slots;
  std::vector<Result> results;
  int64_t scratch_bytes = 0;
};

}  // namespace tl
