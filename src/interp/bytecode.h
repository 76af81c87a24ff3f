// What the compiler makes and the machine runs: functions as vectors of
// instructions over registers, with the tables they refer to. All of it is
// data; opcodes.def says what each instruction means.
// Read next: compiler.h (who writes it), vm.h (who runs it).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "interp/mutators.h"
#include "interp/value.h"
#include "lang/ast.h"
#include "lang/signature.h"
#include "lang/source.h"

namespace tl {

enum class Opcode : uint8_t {
#define TL_OPCODE(id, ...) k##id,
#include "interp/opcodes.def"
};

enum InstructionFlags : uint8_t {
  kFreeB = 1,      // the register in b is a temporary read for the last time
  kFreeC = 2,      // the same for c
  kWhenTrue = 4,   // a branch is taken when the comparison holds
  kInclusive = 8,  // a range that includes its end
  kFreeA = 16,     // the register in a is such a temporary
};

struct Instruction {
  Opcode op;
  uint8_t flags = 0;
  uint16_t a = 0;
  uint16_t b = 0;
  uint16_t c = 0;

  int32_t jump() const {
    return static_cast<int32_t>(b | static_cast<uint32_t>(c) << 16);
  }
  void set_jump(int32_t offset) {
    b = static_cast<uint16_t>(offset);
    c = static_cast<uint16_t>(static_cast<uint32_t>(offset) >> 16);
  }
};

static_assert(sizeof(Instruction) == 8);

// Registers, constants and tables are numbered by 16 bits.
inline constexpr int kMaxNumbered = 65535;

// Where a new function finds one of its cells.
struct Capture {
  bool from_register = false;  // of the function around, else its cell
  uint16_t index = 0;
};

// A name of a dimension and the register (or cell in it) where the call's
// value of it lives; unset before it is bound.
struct DimName {
  std::string name;
  uint16_t in_register = 0;
};

// Adds the names in `dim`.
void AddDimNames(const DimExpr& dim, std::vector<std::string>& names);

// A type that the machine checks a value against.
struct TypeCheck {
  TypeExpr type;
  std::string what;           // "'input'" or "the result"
  std::vector<DimName> dims;  // the names in it
};

struct CallShape {
  std::string method;              // of `x.method(...)`; empty for other calls
  uint16_t arguments = 0;          // without callee or receiver
  std::vector<std::string> names;  // of the last arguments
  Value otherwise;  // the function a method call means unless a member does;
                    // unset if there is none
};

struct BuiltinCall {
  uint16_t id = 0;
  uint16_t arguments = 0;
};

struct SubscriptForm {
  SubscriptKind kind = SubscriptKind::kIndex;
  // A slice uses a register for each bound; those left out hold none.
  int registers() const {
    return kind == SubscriptKind::kIndex   ? 1
           : kind == SubscriptKind::kSlice ? 3
                                           : 0;
  }
};

// `[...]` with more than one subscript or with slices.
using SubscriptForms = std::vector<SubscriptForm>;

enum class RootKind : uint8_t { kRegister, kCell, kShared, kGlobal };

struct PlaceStep {
  bool is_member = false;  // .name, else [subscripts]
  std::string name;
  SubscriptForms subscripts;
  uint16_t first_register = 0;  // of the subscripts
};

// A variable and the way into it, as in `m["a"][i].b`.
struct Place {
  RootKind root = RootKind::kRegister;
  uint16_t index = 0;
  std::string name;
  std::vector<PlaceStep> steps;
  bool combine = false;  // Update: place op= value
  BinaryOp op = BinaryOp::kAdd;
  CallShape call;  // of CallOnPlace
  Mutator mutator = Mutator::kPush;
};

struct FunctionCode {
  Signature signature;  // without a name if it is an expression
  Span span;            // of its name
  std::vector<Instruction> code;
  std::vector<Span> spans;  // of each instruction
  std::vector<Value> constants;
  std::vector<Capture> captures;
  std::vector<TypeCheck> types;
  std::vector<CallShape> calls;
  std::vector<BuiltinCall> builtin_calls;
  std::vector<SubscriptForms> subscripts;
  std::vector<Place> places;
  Ref<CodeUnit> unit;  // null where the code stays
  int registers = 0;
  bool is_top_level = false;  // of a module, or a test

  uint16_t parameters() const {
    return static_cast<uint16_t>(signature.parameters.size());
  }
  // For messages.
  std::string ShownName() const;   // "f", or "fn", before a colon
  std::string QuotedName() const;  // "'f'", or "a function", in a sentence
};

struct TestCode {
  std::string name;
  Span span;
  const FunctionCode* code = nullptr;
};

struct ModuleCode {
  const FunctionCode* top_level = nullptr;
  std::vector<TestCode> tests;
};

// Everything compiled so far in one session. Functions never move, and go only
// with their unit; their numbers and those of modules are then given again.
struct ProgramCode {
  std::vector<std::unique_ptr<FunctionCode>> functions;
  std::vector<ModuleCode> modules;
  std::vector<std::string> global_names;  // by slot
  std::vector<Ref<CodeUnit>> units;       // of entries, in order

  // Their numbers. New ones belong to `unit`, which may be null.
  size_t AddFunction(const Ref<CodeUnit>& unit);
  size_t AddModule(ModuleCode module, const Ref<CodeUnit>& unit);
  // Forgets the code that no value of the program can call.
  void DropUnused();

 private:
  void Drop(CodeUnit& unit);

  std::vector<size_t> free_functions_;
  std::vector<size_t> free_modules_;
};

// One line per instruction, for tests and for the curious.
std::string Disassemble(const FunctionCode& function);

}  // namespace tl
