// The machine that runs bytecode. Registers of all open calls lie in one
// array, each call's beginning where its caller put the arguments; a call
// allocates nothing.
// One .cc file per subject: vm.cc the inner loop, vm_call.cc calls whose
// callee only the run knows, vm_place.cc assignment into variables.
// Read next: opcodes.def.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "interp/bytecode.h"
#include "interp/models.h"
#include "interp/output.h"
#include "interp/tensors.h"
#include "interp/value.h"

namespace tl {

// Recursion deeper than this is one that does not end.
inline constexpr int kMaxCallDepth = 10000;
// Registers of all open calls: 16 MiB of address space, touched as needed.
inline constexpr size_t kMaxRegisters = size_t{1} << 20;
// Calls of the program by built-ins that call the program: each takes some of
// the machine's own stack.
inline constexpr int kMaxNativeDepth = 200;

// A line in answer to a prompt; nothing at the end of what is read.
using LineReader = std::function<std::optional<std::string>(std::string)>;

// What a program is run with, beside its code.
struct Environment {
  std::vector<std::string> arguments;  // args()
  LineReader read_line;                // input(), if not standard input
};

// Thrown by exit(): not an error.
struct ExitRequest {
  int code = 0;
};

class Vm {
 public:
  Vm(const ProgramCode& program, const Sources& sources, Tensors& tensors,
     Models& models, Output& output, Environment environment);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  // Runs a module's top level or a test; its value.
  Value Run(const FunctionCode& code);
  // The same for a module that has not run yet.
  Value RunModule(uint16_t module);
  // A call by a built-in, with positional arguments.
  Value Call(const Value& callee, std::span<const Value> arguments);

  // The value of a global; null before it has one.
  const Value* FindGlobal(uint16_t slot) const;

  Tensors& tensors() { return tensors_; }
  Models& models() { return models_; }
  Output& output() { return output_; }
  const Environment& environment() const { return environment_; }
  // The instruction at work.
  Span where() const;

 private:
  struct Frame {
    const FunctionCode* code;
    const Instruction* pc;  // the next one; current while it may fail
    Value* base;
    Value* first;  // where clearing begins: base, or the callee
    const FunctionObject* function;  // holds the cells; null if it has none
    uint16_t result;                 // the caller's register
  };

  // vm.cc
  Value Execute();
  Value Loop(const Frame* entry);
  void Push(const FunctionCode& code, Value* base, Value* first,
            const FunctionObject* function, uint16_t result);
  void ClearFrame();
  void Unwind(const Frame* entry, std::vector<std::string>* notes);
  void SlowBinary(BinaryOp op, Instruction i, const Value& right);
  bool SlowCompare(BinaryOp op, Instruction i, const Value& right);
  bool TruthOf(Instruction i, Value& value);
  void PrepareCount(Value* registers, bool inclusive);
  void PrepareEach(Value& sequence);
  bool NextElement(Value* registers);
  Value MakeRange(const Value& low, const Value& high, bool inclusive);
  Value MakeFunction(const FunctionCode& code);
  Value NewCell(Value value);
  void FreeOperands(Instruction i);
  [[noreturn]] void FailUnset(uint16_t slot) const;
  [[noreturn]] void FailDepth(const FunctionCode& code) const;

  // vm_call.cc
  Value CallBuiltin(uint16_t builtin, std::span<Value> arguments);
  // These begin a call. True if a frame was pushed, else the call is over and
  // its result in its register. `first`: where the call's registers begin.
  Value BindAndCall(uint16_t builtin, std::span<Value> arguments,
                    const std::vector<std::string>& names);
  bool EnterValue(Instruction i);
  bool EnterMethod(Instruction i);
  bool EnterMethodOf(const CallShape& shape, Instruction i);
  bool Enter(const Value& callee, std::span<Value> arguments, Value* first,
             const std::vector<std::string>& names, uint16_t result);
  bool EnterMember(Instruction i, const CallShape& shape, Value member);
  bool EnterFunction(const FunctionObject& function, std::span<Value> arguments,
                     Value* first, const std::vector<std::string>& names,
                     uint16_t result);
  Value FindContentMethod(const CallShape& shape, std::span<Value> window);
  std::vector<Value> BindArguments(const Signature& signature,
                                   std::span<Value> arguments,
                                   const std::vector<std::string>& names) const;

  // vm_place.cc
  Value& RootOf(const Place& place);
  void UpdatePlace(const Place& place, Value value);
  void UpdateInside(const Place& place, size_t step, Value& at, Value value);
  bool EnterOnPlace(Instruction i);
  Value MutateInside(const Place& place, size_t step, Value& at,
                     std::span<Value> arguments);
  Value ReadStep(const PlaceStep& step, const Value& object);
  void WriteStep(const PlaceStep& step, Value& object, Value value);
  Value* FindInside(const PlaceStep& step, Value& object);
  void ClearSteps(const Place& place);

  const ProgramCode& program_;
  const Sources& sources_;
  Tensors& tensors_;
  Models& models_;
  Output& output_;
  const Environment environment_;
  std::unique_ptr<Value[], void (*)(Value*)> registers_;
  std::unique_ptr<Frame[]> frames_;
  Frame* frame_;  // the call at work; frames_[0] is none's
  std::vector<Value> globals_;
  std::vector<bool> module_has_run_;
  CellObject* cells_ = nullptr;
  int native_depth_ = 0;
};

}  // namespace tl
