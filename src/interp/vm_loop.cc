// The inner loop. One function by intent: a compiler keeps the program counter
// and the registers' address in machine registers only within one.
#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "interp/subscripts.h"
#include "interp/type_check.h"
#include "interp/vm.h"

namespace tl {
namespace {

inline void StoreInt(Value& target, int64_t value) {
  if (target.on_heap()) [[unlikely]]
    target.Clear();
  target.SetInt(value);
}

inline void StoreFloat(Value& target, double value) {
  if (target.on_heap()) [[unlikely]]
    target.Clear();
  target.SetFloat(value);
}

inline void StoreBool(Value& target, bool value) {
  if (target.on_heap()) [[unlikely]]
    target.Clear();
  target.SetBool(value);
}

// Each does the whole of an operation on two numbers, or nothing and says so.
inline bool AddNumbers(Value& target, const Value& x, const Value& y) {
  if (x.is_int() && y.is_int()) [[likely]] {
    int64_t sum = 0;
    if (__builtin_add_overflow(x.as_int(), y.as_int(), &sum)) return false;
    StoreInt(target, sum);
    return true;
  }
  if (!x.is_number() || !y.is_number()) return false;
  StoreFloat(target, x.as_number() + y.as_number());
  return true;
}

inline bool SubtractNumbers(Value& target, const Value& x, const Value& y) {
  if (x.is_int() && y.is_int()) [[likely]] {
    int64_t difference = 0;
    if (__builtin_sub_overflow(x.as_int(), y.as_int(), &difference)) {
      return false;
    }
    StoreInt(target, difference);
    return true;
  }
  if (!x.is_number() || !y.is_number()) return false;
  StoreFloat(target, x.as_number() - y.as_number());
  return true;
}

inline bool MultiplyNumbers(Value& target, const Value& x, const Value& y) {
  if (x.is_int() && y.is_int()) [[likely]] {
    int64_t product = 0;
    if (__builtin_mul_overflow(x.as_int(), y.as_int(), &product)) return false;
    StoreInt(target, product);
    return true;
  }
  if (!x.is_number() || !y.is_number()) return false;
  StoreFloat(target, x.as_number() * y.as_number());
  return true;
}

// -1 is left to the slow path: the smallest int divided by it overflows.
inline bool Divides(const Value& y) { return y.as_int() > 0; }

inline bool DivideNumbers(Value& target, const Value& x, const Value& y) {
  if (x.is_int() && y.is_int()) [[likely]] {
    if (!Divides(y)) return false;
    StoreInt(target, x.as_int() / y.as_int());
    return true;
  }
  if (!x.is_number() || !y.is_number()) return false;
  StoreFloat(target, x.as_number() / y.as_number());
  return true;
}

inline bool RemainNumbers(Value& target, const Value& x, const Value& y) {
  if (x.is_int() && y.is_int() && Divides(y)) [[likely]] {
    StoreInt(target, x.as_int() % y.as_int());
    return true;
  }
  return false;
}

// 1 or 0 for two numbers, else -1.
template <class Compare>
inline int CompareNumbers(const Value& x, const Value& y, Compare compare) {
  if (x.is_int() && y.is_int()) [[likely]] {
    return compare(x.as_int(), y.as_int());
  }
  if (!x.is_number() || !y.is_number()) return -1;
  return compare(x.as_number(), y.as_number());
}

constexpr auto kLess = [](auto x, auto y) { return x < y; };
constexpr auto kLessEqual = [](auto x, auto y) { return x <= y; };
constexpr auto kGreater = [](auto x, auto y) { return x > y; };
constexpr auto kGreaterEqual = [](auto x, auto y) { return x >= y; };
constexpr auto kEqual = [](auto x, auto y) { return x == y; };
constexpr auto kNotEqual = [](auto x, auto y) { return x != y; };

// The element of a list at an int in range, else null.
inline const Value* FindElement(const Value& object, const Value& key) {
  if (!object.is_list() || !key.is_int()) return nullptr;
  const std::vector<Value>& items = object.as_list();
  const uint64_t index = static_cast<uint64_t>(key.as_int());
  return index < items.size() ? &items[index] : nullptr;
}

// The same, of a list that nobody else holds.
inline Value* FindOwnElement(Value& object, const Value& key) {
  return object.is_list() && object.unique()
             ? const_cast<Value*>(FindElement(object, key))
             : nullptr;
}

}  // namespace

Value Vm::Execute() {
  const Frame* const entry = frame_;
  try {
    return Loop(entry);
  } catch (Error& error) {
    std::vector<std::string> notes;
    Unwind(entry, &notes);
    for (std::string& note : notes) error.AddNote(std::move(note));
    throw;
  } catch (...) {
    Unwind(entry, nullptr);
    throw;
  }
}

Value Vm::Loop(const Frame* entry) {
  const std::unique_ptr<FunctionCode>* const functions =
      program_.functions.data();
  const Instruction* pc = frame_->pc;
  Value* base = frame_->base;
  const Value* constants = frame_->code->constants.data();

  // What may fail (or call back) is told where it stands.
  const auto save = [&] { frame_->pc = pc; };
  const auto resume = [&] {
    pc = frame_->pc;
    base = frame_->base;
    constants = frame_->code->constants.data();
  };
  const auto arithmetic = [&](bool done, BinaryOp op, Instruction i,
                              const Value& right)
      __attribute__((always_inline)) {
    if (done) [[likely]]
      return;
    save();
    SlowBinary(op, i, right);
  };
  const auto compare = [&](int answer, BinaryOp op, Instruction i)
      __attribute__((always_inline)) {
    if (answer >= 0) [[likely]] {
      StoreBool(base[i.a], answer != 0);
      return;
    }
    save();
    SlowBinary(op, i, base[i.c]);
  };
  const auto branch = [&](int answer, BinaryOp op, Instruction i,
                          const Value& right) __attribute__((always_inline)) {
    if (answer < 0) [[unlikely]] {
      save();
      answer = SlowCompare(op, i, right);
    }
    const bool taken = (answer != 0) == ((i.flags & kWhenTrue) != 0);
    pc += taken ? 1 + pc->jump() : 1;
  };

  for (;;) {
    const Instruction i = *pc++;
    switch (i.op) {
      case Opcode::kMove:
        base[i.a] = base[i.b];
        continue;
      case Opcode::kTake:
        base[i.a] = std::move(base[i.b]);
        continue;
      case Opcode::kLoadConstant:
        base[i.a] = constants[i.b];
        continue;
      case Opcode::kLoadInt:
        StoreInt(base[i.a], i.jump());
        continue;
      case Opcode::kLoadNone:
        base[i.a].Clear();
        continue;
      case Opcode::kLoadUnset:
        base[i.a] = Value::Unset();
        continue;
      case Opcode::kLoadBool:
        StoreBool(base[i.a], i.b != 0);
        continue;
      case Opcode::kGetGlobal: {
        const Value& global = globals_[i.b];
        if (global.is_unset()) [[unlikely]] {
          save();
          FailUnset(i.b);
        }
        base[i.a] = global;
        continue;
      }
      case Opcode::kSetGlobal:
        globals_[i.b] = std::move(base[i.a]);
        continue;
      case Opcode::kNewCell:
        base[i.a] = NewCell(base[i.b]);
        continue;
      case Opcode::kGetCell:
        base[i.a] = base[i.b].as_cell().value;
        continue;
      case Opcode::kSetCell:
        base[i.b].as_cell().value = std::move(base[i.a]);
        continue;
      case Opcode::kGetShared:
        base[i.a] = frame_->function->cells[i.b].as_cell().value;
        continue;
      case Opcode::kSetShared:
        frame_->function->cells[i.b].as_cell().value = std::move(base[i.a]);
        continue;

      case Opcode::kAdd:
        arithmetic(AddNumbers(base[i.a], base[i.b], base[i.c]), BinaryOp::kAdd,
                   i, base[i.c]);
        continue;
      case Opcode::kSubtract:
        arithmetic(SubtractNumbers(base[i.a], base[i.b], base[i.c]),
                   BinaryOp::kSubtract, i, base[i.c]);
        continue;
      case Opcode::kMultiply:
        arithmetic(MultiplyNumbers(base[i.a], base[i.b], base[i.c]),
                   BinaryOp::kMultiply, i, base[i.c]);
        continue;
      case Opcode::kDivide:
        arithmetic(DivideNumbers(base[i.a], base[i.b], base[i.c]),
                   BinaryOp::kDivide, i, base[i.c]);
        continue;
      case Opcode::kRemainder:
        arithmetic(RemainNumbers(base[i.a], base[i.b], base[i.c]),
                   BinaryOp::kRemainder, i, base[i.c]);
        continue;
      case Opcode::kAddConstant:
        arithmetic(AddNumbers(base[i.a], base[i.b], constants[i.c]),
                   BinaryOp::kAdd, i, constants[i.c]);
        continue;
      case Opcode::kSubtractConstant:
        arithmetic(SubtractNumbers(base[i.a], base[i.b], constants[i.c]),
                   BinaryOp::kSubtract, i, constants[i.c]);
        continue;
      case Opcode::kMultiplyConstant:
        arithmetic(MultiplyNumbers(base[i.a], base[i.b], constants[i.c]),
                   BinaryOp::kMultiply, i, constants[i.c]);
        continue;
      case Opcode::kDivideConstant:
        arithmetic(DivideNumbers(base[i.a], base[i.b], constants[i.c]),
                   BinaryOp::kDivide, i, constants[i.c]);
        continue;
      case Opcode::kRemainderConstant:
        arithmetic(RemainNumbers(base[i.a], base[i.b], constants[i.c]),
                   BinaryOp::kRemainder, i, constants[i.c]);
        continue;
      case Opcode::kPower:
        save();
        SlowBinary(BinaryOp::kPower, i, base[i.c]);
        continue;
      case Opcode::kMatmul:
        save();
        SlowBinary(BinaryOp::kMatmul, i, base[i.c]);
        continue;
      case Opcode::kIn:
        save();
        SlowBinary(BinaryOp::kIn, i, base[i.c]);
        continue;
      case Opcode::kNegate:
        save();
        base[i.a] = NegateValue(tensors_, base[i.b], where());
        FreeOperands(i);
        continue;
      case Opcode::kNot:
        save();
        base[i.a] = Value::Bool(!Truth(tensors_, base[i.b]));
        FreeOperands(i);
        continue;
      case Opcode::kLess:
        compare(CompareNumbers(base[i.b], base[i.c], kLess), BinaryOp::kLess,
                i);
        continue;
      case Opcode::kLessEqual:
        compare(CompareNumbers(base[i.b], base[i.c], kLessEqual),
                BinaryOp::kLessEqual, i);
        continue;
      case Opcode::kGreater:
        compare(CompareNumbers(base[i.b], base[i.c], kGreater),
                BinaryOp::kGreater, i);
        continue;
      case Opcode::kGreaterEqual:
        compare(CompareNumbers(base[i.b], base[i.c], kGreaterEqual),
                BinaryOp::kGreaterEqual, i);
        continue;
      case Opcode::kEqual:
        compare(CompareNumbers(base[i.b], base[i.c], kEqual), BinaryOp::kEqual,
                i);
        continue;
      case Opcode::kNotEqual:
        compare(CompareNumbers(base[i.b], base[i.c], kNotEqual),
                BinaryOp::kNotEqual, i);
        continue;
      case Opcode::kCast:
        save();
        base[i.a] = CastValue(tensors_, base[i.b],
                              frame_->code->types[i.c].type, where());
        FreeOperands({i.op, i.flags, i.a, i.b, i.a});
        continue;
      case Opcode::kRange:
        save();
        base[i.a] = MakeRange(base[i.b], base[i.c], i.flags & kInclusive);
        continue;

      case Opcode::kJump:
        pc += i.jump();
        continue;
      case Opcode::kJumpBack:
        save();
        PollInterrupt();
        tensors_.Turn();
        pc += i.jump();
        continue;
      case Opcode::kJumpIf: {
        Value& value = base[i.a];
        save();
        if (value.is_bool() ? value.as_bool() : TruthOf(i, value)) {
          pc += i.jump();
        }
        continue;
      }
      case Opcode::kJumpUnless: {
        Value& value = base[i.a];
        save();
        if (!(value.is_bool() ? value.as_bool() : TruthOf(i, value))) {
          pc += i.jump();
        }
        continue;
      }
      case Opcode::kJumpIfSet:
        if (!base[i.a].is_unset()) pc += i.jump();
        continue;
      case Opcode::kBranchLess:
        branch(CompareNumbers(base[i.a], base[i.b], kLess), BinaryOp::kLess, i,
               base[i.b]);
        continue;
      case Opcode::kBranchLessEqual:
        branch(CompareNumbers(base[i.a], base[i.b], kLessEqual),
               BinaryOp::kLessEqual, i, base[i.b]);
        continue;
      case Opcode::kBranchGreater:
        branch(CompareNumbers(base[i.a], base[i.b], kGreater),
               BinaryOp::kGreater, i, base[i.b]);
        continue;
      case Opcode::kBranchGreaterEqual:
        branch(CompareNumbers(base[i.a], base[i.b], kGreaterEqual),
               BinaryOp::kGreaterEqual, i, base[i.b]);
        continue;
      case Opcode::kBranchEqual:
        branch(CompareNumbers(base[i.a], base[i.b], kEqual), BinaryOp::kEqual,
               i, base[i.b]);
        continue;
      case Opcode::kBranchNotEqual:
        branch(CompareNumbers(base[i.a], base[i.b], kNotEqual),
               BinaryOp::kNotEqual, i, base[i.b]);
        continue;
      case Opcode::kBranchLessConstant:
        branch(CompareNumbers(base[i.a], constants[i.b], kLess),
               BinaryOp::kLess, i, constants[i.b]);
        continue;
      case Opcode::kBranchLessEqualConstant:
        branch(CompareNumbers(base[i.a], constants[i.b], kLessEqual),
               BinaryOp::kLessEqual, i, constants[i.b]);
        continue;
      case Opcode::kBranchGreaterConstant:
        branch(CompareNumbers(base[i.a], constants[i.b], kGreater),
               BinaryOp::kGreater, i, constants[i.b]);
        continue;
      case Opcode::kBranchGreaterEqualConstant:
        branch(CompareNumbers(base[i.a], constants[i.b], kGreaterEqual),
               BinaryOp::kGreaterEqual, i, constants[i.b]);
        continue;
      case Opcode::kBranchEqualConstant:
        branch(CompareNumbers(base[i.a], constants[i.b], kEqual),
               BinaryOp::kEqual, i, constants[i.b]);
        continue;
      case Opcode::kBranchNotEqualConstant:
        branch(CompareNumbers(base[i.a], constants[i.b], kNotEqual),
               BinaryOp::kNotEqual, i, constants[i.b]);
        continue;
      case Opcode::kBranchMatches: {
        save();
        const bool same = Same(tensors_, base[i.a], constants[i.b], where());
        const bool taken = same == ((i.flags & kWhenTrue) != 0);
        pc += taken ? 1 + pc->jump() : 1;
        continue;
      }

      case Opcode::kCountPrepare:
        save();
        PrepareCount(base + i.a, i.flags & kInclusive);
        continue;
      case Opcode::kCountNext: {
        Value* const loop = base + i.a;
        const int64_t remaining = loop[1].as_int();
        if (remaining == 0) continue;
        const int64_t number = loop[0].as_int();
        loop[1].SetInt(remaining - 1);
        StoreInt(loop[3], number);
        // The number after the last one may not be an int; nobody reads it.
        loop[0].SetInt(
            static_cast<int64_t>(static_cast<uint64_t>(number) +
                                 static_cast<uint64_t>(loop[2].as_int())));
        save();
        PollInterrupt();
        tensors_.Turn();
        pc += i.jump();
        continue;
      }
      case Opcode::kEachPrepare:
        save();
        PrepareEach(base[i.a]);
        continue;
      case Opcode::kEachNext:
        save();
        PollInterrupt();
        tensors_.Turn();
        if (NextElement(base + i.a)) pc += i.jump();
        continue;

      case Opcode::kNewList: {
        Value* const first = base + i.b;
        base[i.a] = Value::List({std::make_move_iterator(first),
                                 std::make_move_iterator(first + i.c)});
        continue;
      }
      case Opcode::kExtendList: {
        Value* const first = base + i.b;
        std::vector<Value>& items = base[i.a].OwnList();
        items.insert(items.end(), std::make_move_iterator(first),
                     std::make_move_iterator(first + i.c));
        continue;
      }
      case Opcode::kNewMap:
        base[i.a] = Value::Map();
        continue;
      case Opcode::kAddEntry:
        save();
        base[i.a].OwnMap().At(base[i.b]) = std::move(base[i.c]);
        base[i.b].Clear();
        continue;
      case Opcode::kGetIndex: {
        if (const Value* found = FindElement(base[i.b], base[i.c])) {
          base[i.a] = *found;
        } else {
          save();
          base[i.a] = GetIndex(tensors_, base[i.b], base[i.c], where());
        }
        if (i.flags != 0) FreeOperands(i);
        continue;
      }
      case Opcode::kGetIndexConstant: {
        if (const Value* found = FindElement(base[i.b], constants[i.c])) {
          base[i.a] = *found;
        } else {
          save();
          base[i.a] = GetIndex(tensors_, base[i.b], constants[i.c], where());
        }
        if ((i.flags & kFreeB) && i.b != i.a) base[i.b].Clear();
        continue;
      }
      case Opcode::kGetSubscripts: {
        save();
        const SubscriptForms& forms = frame_->code->subscripts[i.c];
        Value* const window = base + i.b;
        Value part = GetSubscripts(tensors_, window[0],
                                   SubscriptsAt(forms, window + 1), where());
        ClearSubscripts(forms, window + 1);
        window[0].Clear();
        base[i.a] = std::move(part);
        continue;
      }
      case Opcode::kGetMember:
        save();
        base[i.a] =
            GetMember(tensors_, base[i.b], constants[i.c].as_string(), where());
        if ((i.flags & kFreeB) && i.b != i.a) base[i.b].Clear();
        continue;
      case Opcode::kSetIndex: {
        if (Value* element = FindOwnElement(base[i.a], base[i.b])) {
          if (!element->on_heap() && !base[i.c].on_heap()) {
            element->SetScalar(base[i.c]);
          } else if (i.flags & kFreeC) {
            *element = std::move(base[i.c]);
          } else {
            *element = base[i.c];
          }
          continue;
        }
        save();
        SetIndex(tensors_, base[i.a], base[i.b], base[i.c], where());
        if (i.flags & kFreeB) base[i.b].Clear();
        if (i.flags & kFreeC) base[i.c].Clear();
        continue;
      }
      case Opcode::kUpdate:
        save();
        UpdatePlace(frame_->code->places[i.b], std::move(base[i.a]));
        continue;
      case Opcode::kPush:
        if (base[i.a].is_list()) [[likely]] {
          // v.push(v) has v held twice.
          base[i.a].OwnList().push_back(std::move(base[i.b]));
          base[i.c].Clear();
          ++pc;
        }
        continue;
      case Opcode::kCallOnPlace:
        save();
        if (EnterOnPlace(i)) resume();
        continue;

      case Opcode::kCall: {
        const FunctionCode& callee = *functions[i.b];
        save();
        Value* const window = base + i.a;
        Push(callee, window, window, nullptr, i.c);
        resume();
        continue;
      }
      case Opcode::kCallBuiltin: {
        save();
        const BuiltinCall call = frame_->code->builtin_calls[i.b];
        const std::span<Value> arguments(base + i.a, call.arguments);
        Value result = CallBuiltin(call.id, arguments);
        for (Value& argument : arguments) argument.Clear();
        base[i.c] = std::move(result);
        continue;
      }
      case Opcode::kCallValue:
        save();
        if (EnterValue(i)) resume();
        continue;
      case Opcode::kCallMethod:
        save();
        if (EnterMethod(i)) resume();
        continue;
      case Opcode::kCallable:
        if (!base[i.a].is_callable()) base[i.a] = constants[i.b];
        continue;
      case Opcode::kClosure:
        base[i.a] = MakeFunction(*functions[i.b]);
        continue;
      case Opcode::kCheckParameter: {
        const TypeCheck& check = frame_->code->types[i.b];
        Value& value = base[i.a];
        if (check.type.kind == TypeKind::kInt && value.is_int()) continue;
        if (check.type.kind == TypeKind::kFloat && value.is_float()) continue;
        save();
        CheckType(tensors_, value, check, base, *frame_->code, where());
        continue;
      }
      case Opcode::kCheckResult: {
        const TypeCheck& check = frame_->code->types[i.b];
        Value& value = base[i.a];
        if (check.type.kind == TypeKind::kInt && value.is_int()) continue;
        if (check.type.kind == TypeKind::kFloat && value.is_float()) continue;
        save();
        CheckType(tensors_, value, check, base, *frame_->code, where());
        continue;
      }
      case Opcode::kCheckTensor:
        save();
        CheckDeclaredTensor(tensors_, base[i.a], frame_->code->types[i.b], base,
                            where());
        continue;
      case Opcode::kReturn: {
        Value result = std::move(base[i.a]);
        const bool last = frame_ == entry;
        const uint16_t target = frame_->result;
        ClearFrame();
        if (last) return result;
        resume();
        base[target] = std::move(result);
        continue;
      }
      case Opcode::kReturnNone: {
        const bool last = frame_ == entry;
        const uint16_t target = frame_->result;
        ClearFrame();
        if (last) return Value();
        resume();
        base[target].Clear();
        continue;
      }
      case Opcode::kRunModule:
        save();
        RunModule(i.b);
        continue;
    }
  }
}

}  // namespace tl
