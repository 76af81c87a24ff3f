// The seam between the executor and a device. The executor hands a backend one
// step at a time: memory, views of it, and what to compute. Backends know no
// graph, no plan and no other backend.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "ops/op.h"
#include "tensor/tensor.h"

namespace tl {

// An operand or result as a kernel sees it: strided elements of one type.
// Strides are in elements, 0 along broadcast axes, negative for reversed ones;
// kDense kernels get row-major ones. Storage types other than F16, F32 and I32
// come only to Decode (and, packed, to Matmul and IndexSelect), always dense.
// `data` may be at any byte alignment for Decode, at least element-aligned
// elsewhere.
struct View {
  std::byte* data;
  DType dtype;
  int rank;
  int64_t dims[kMaxRank];
  int64_t strides[kMaxRank];

  int64_t size() const {
    int64_t n = 1;
    for (int axis = 0; axis < rank; ++axis) n *= dims[axis];
    return n;
  }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
};

// A fused chain of elementwise ops in single-assignment form. Values 0 ..
// inputs-1 are the operands, value inputs+i is the result of instructions[i].
// An instruction's result is rounded to its type (F16: to the nearest f16 and
// back; I32: an integer), so fusing never changes a bit of a result.
struct ElementwiseProgram {
  struct Instruction {
    OpId op;
    DType dtype;        // of the result: F16, F32 or I32
    bool int_lanes;     // every operand and the result are I32: exact int32
    uint8_t operand[3];  // value numbers; as many as the op's arity
  };
  // One group's values live in registers of the block interpreter: the bound
  // keeps their blocks inside the first-level cache.
  static constexpr int kMaxValues = 24;

  int inputs = 0;
  std::vector<DType> input_dtypes;
  std::vector<Instruction> instructions;
  std::vector<uint8_t> outputs;  // value numbers, one per output view
};

// What converting stored values to a computed type lost.
struct DecodeCounts {
  int64_t overflowed = 0;  // finite became inf
  int64_t flushed = 0;     // not zero became zero
  int64_t nan = 0;         // NaN or inf in the source
};

struct KernelArgs {
  std::span<const View> inputs;
  std::span<const View> outputs;
  std::span<const int64_t> ints;     // Attributes::ints
  std::span<const double> numbers;   // Attributes::numbers
  // Elementwise: the whole computation. A row that takes an epilogue: that, or
  // null; its value 0 is the row's result rounded to the op's type, its other
  // values are the last of the inputs (broadcast to the result's shape), its
  // outputs the outputs.
  const ElementwiseProgram* program = nullptr;
  DType dtype = DType::F16;  // the op's result type, before an epilogue
  // Decode only; added to by the next Submit.
  DecodeCounts* counts = nullptr;
  // An index operand has been looked at: all of it has its place.
  bool indices_checked = false;
  // What Backend::Prepare made of an operand; null where nothing is kept.
  const void* prepared = nullptr;
};

// Bytes that a device may hold for this program, and what is left of them.
struct DeviceMemory {
  int64_t total = 0;
  int64_t free = 0;
};

// What CopyIn copies.
struct HostBytes {
  std::byte* to;
  const std::byte* from;
  int64_t bytes;
};

// Of work that was handed over: a count. 0 is done.
using Ticket = uint64_t;

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;
  virtual Device device() const = 0;

  // Uninitialised memory of the device. Freed blocks may be kept for reuse.
  virtual std::shared_ptr<std::byte> Allocate(int64_t bytes) = 0;
  // Of a device with memory of its own; asking may take a while. A limit counts
  // what it holds already.
  virtual DeviceMemory Memory() const { return {}; }
  virtual bool has_memory_limit() const { return false; }
  virtual void LimitMemory(int64_t /*bytes*/) {}
  virtual void CopyIn(std::byte* to, const std::byte* from, int64_t bytes) = 0;
  // The same for several, which a device may fetch beside each other.
  virtual void CopyAllIn(std::span<const HostBytes> all) {
    for (const HostBytes& one : all) CopyIn(one.to, one.from, one.bytes);
  }
  // Returns when the bytes are there: what was handed over up to `ticket` is done
  // then, and what came later may not be.
  virtual void CopyOut(std::byte* to, const std::byte* from, int64_t bytes,
                       Ticket ticket) = 0;

  // An operand of `op` that the backend would rather have in a layout of its
  // own, or -1; and that layout, which depends on the operand and on ints alone.
  // It is made once and kept as long as the operand is: weights of a model, as
  // opposed to what is computed from them.
  virtual int PreparedOperand(OpId) const { return -1; }
  virtual std::shared_ptr<const void> Prepare(
      OpId, const View& /*operand*/, std::span<const int64_t> /*ints*/) {
    return nullptr;
  }

  // Elementwise ops come as OpId::Identity with a program.
  virtual void Run(OpId op, const KernelArgs& args) = 0;

  // What was handed over so far is the work of the ticket, and is begun without
  // another call. Returns when it can no longer fail: at once, where a device works
  // on by itself and nothing of it can. `kept` has the attributes and programs that
  // arguments since the last call point to; without it they are no longer needed then.
  // What is in `scratch` after all of that nobody will ask for.
  virtual Ticket Submit(std::shared_ptr<const void> /*kept*/,
                        std::span<const std::byte> /*scratch*/ = {}) {
    Wait();
    return 0;
  }

  // Returns when everything handed over so far is done.
  virtual void Wait() = 0;

  // To time what is run, by the device's own clock: a lap is what was handed over
  // since the one before. Laps waits, and gives the seconds of each since
  // StartLaps. As here where Run returns when it is done.
  virtual void StartLaps() { lap_ends_ = {Clock::now()}; }
  virtual void EndLap() { lap_ends_.push_back(Clock::now()); }
  virtual std::vector<double> Laps() {
    std::vector<double> seconds;
    for (size_t i = 1; i < lap_ends_.size(); ++i) {
      const std::chrono::duration<double> lap = lap_ends_[i] - lap_ends_[i - 1];
      seconds.push_back(lap.count());
    }
    return seconds;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> lap_ends_;
};

}  // namespace tl
