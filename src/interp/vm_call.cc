// Calls whose callee only the run knows: function values and methods; and the
// way into built-ins.
#include <fmt/format.h>

#include "base/error.h"
#include "interp/builtins.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "interp/signatures.h"
#include "interp/subscripts.h"
#include "interp/vm.h"

namespace tl {
Value Vm::CallBuiltin(uint16_t builtin, std::span<Value> arguments) {
  const uint16_t first = FirstTensorFunction();
  if (builtin < first) {
    return FunctionOf(static_cast<BuiltinId>(builtin))(*this, arguments);
  }
  return tensors_.Call(static_cast<uint16_t>(builtin - first), arguments,
                       where());
}

std::vector<Value> Vm::BindArguments(
    const Signature& signature, std::span<Value> arguments,
    const std::vector<std::string>& names) const {
  std::vector<std::string_view> argument_names(arguments.size());
  const size_t positional = arguments.size() - names.size();
  for (size_t i = 0; i < names.size(); ++i) {
    argument_names[positional + i] = names[i];
  }
  const ArgumentBinding binding = Bind(signature, argument_names);
  if (!binding.fits()) Fail(ErrorKind::kProgram, "{}", binding.fault);
  std::vector<Value> bound(signature.parameters.size(), Value::Unset());
  for (size_t at = 0; at < bound.size(); ++at) {
    const int argument = binding.arguments[at];
    if (argument != ArgumentBinding::kDefault) {
      bound[at] = std::move(arguments[static_cast<size_t>(argument)]);
    } else if (signature.parameters[at].rest) {
      std::vector<Value> rest;
      for (int i : binding.rest) {
        rest.push_back(std::move(arguments[static_cast<size_t>(i)]));
      }
      bound[at] = Value::List(std::move(rest));
    }
  }
  return bound;
}

Value Vm::BindAndCall(uint16_t builtin, std::span<Value> arguments,
                      const std::vector<std::string>& names) {
  const Signature& signature = SignatureOfBuiltin(builtin);
  std::vector<Value> bound = BindArguments(signature, arguments, names);
  for (size_t at = 0; at < bound.size(); ++at) {
    if (bound[at].is_unset()) {
      bound[at] = OmittedArgument(builtin, signature.parameters[at]);
    }
  }
  return CallBuiltin(builtin, bound);
}

bool Vm::EnterFunction(const FunctionObject& function,
                       std::span<Value> arguments, Value* first,
                       const std::vector<std::string>& names, uint16_t result) {
  const FunctionCode& code = *function.code;
  Value* base = arguments.data();
  if (!names.empty() || arguments.size() != code.parameters()) {
    std::vector<Value> bound = BindArguments(code.signature, arguments, names);
    // The callee's registers begin at its arguments, wherever those were.
    Push(code, base, first, &function, result);
    std::move(bound.begin(), bound.end(), base);
    return true;
  }
  Push(code, base, first, &function, result);
  return true;
}

bool Vm::Enter(const Value& callee, std::span<Value> arguments, Value* first,
               const std::vector<std::string>& names, uint16_t result) {
  if (callee.is_function()) {
    return EnterFunction(callee.as_function(), arguments, first, names, result);
  }
  if (!callee.is_builtin()) {
    Fail(ErrorKind::kProgram, "{} cannot be called", Describe(callee));
  }
  Value value =
      BindAndCall(static_cast<uint16_t>(callee.as_builtin()), arguments, names);
  for (Value* used = first; used != arguments.data() + arguments.size();
       ++used) {
    used->Clear();
  }
  frame_->base[result] = std::move(value);
  return false;
}

bool Vm::EnterValue(Instruction i) {
  const CallShape& shape = frame_->code->calls[i.b];
  Value* const window = frame_->base + i.a;
  const std::span<Value> arguments(window + 1, shape.arguments);
  // `x.f(a)` with a variable f: a member of that name comes first.
  if (!shape.method.empty() && window[1].on_heap()) {
    Value member = FindMemberOf(tensors_, window[1], shape.method, where());
    if (member.is_callable()) {
      window[0] = std::move(member);
      return Enter(window[0], arguments.subspan(1), window, shape.names, i.c);
    }
    // A variable that cannot be called hides no method: `tok.id(text)`.
    if (!window[0].is_callable() && window[1].is_handle()) {
      Value result = window[1].as_handle().CallMethod(
          shape.method, arguments.subspan(1), shape.names);
      if (!result.is_unset()) {
        for (Value& used : std::span(window, arguments.size() + 1)) used.Clear();
        frame_->base[i.c] = std::move(result);
        return false;
      }
    }
  }
  return Enter(window[0], arguments, window, shape.names, i.c);
}

// A member that a method call found: called without the receiver, or just read
// where it is no function (`x.shape()`).
bool Vm::EnterMember(Instruction i, const CallShape& shape, Value member) {
  Value* const window = frame_->base + i.a;
  if (member.is_callable()) {
    window[0] = std::move(member);
    return Enter(window[0], {window + 1, shape.arguments}, window, shape.names,
                 i.c);
  }
  if (shape.arguments != 0) {
    Fail(ErrorKind::kProgram, "'{}' of {} is {}, which cannot be called",
         shape.method, Describe(window[0]), Describe(member));
  }
  window[0].Clear();
  frame_->base[i.c] = std::move(member);
  return false;
}

// Methods of lists and maps that are no functions. Those that change work on
// a copy here: a variable's own are CallOnPlace.
Value Vm::FindContentMethod(const CallShape& shape, std::span<Value> window) {
  Value& receiver = window[0];
  if (!receiver.is_list() && !receiver.is_map()) return Value::Unset();
  const std::span<const Value> arguments = window.subspan(1);
  if (shape.method == "is_empty" && arguments.empty()) {
    return Value::Bool(receiver.is_list() ? receiver.as_list().empty()
                                          : receiver.as_map().size() == 0);
  }
  if (shape.method == "get" && arguments.size() == 1) {
    return GetIndex(tensors_, receiver, arguments[0], where());
  }
  // `push(v, x)` and `append(v, x)` are functions with a value of their own.
  if (!shape.otherwise.is_unset()) return Value::Unset();
  const std::optional<Mutator> mutator = FindMutator(shape.method);
  if (!mutator) return Value::Unset();
  return Mutate(tensors_, *mutator, receiver, arguments, where());
}

bool Vm::EnterMethod(Instruction i) {
  return EnterMethodOf(frame_->code->calls[i.b], i);
}

bool Vm::EnterMethodOf(const CallShape& shape, Instruction i) {
  Value* const window = frame_->base + i.a;
  const std::span<Value> all(window, shape.arguments + size_t{1});
  const bool method = window[0].is_handle() && !shape.otherwise.is_unset() &&
                      window[0].as_handle().IsMethod(shape.method);
  if (window[0].on_heap() && !method) {
    Value member = FindMemberOf(tensors_, window[0], shape.method, where());
    if (!member.is_unset()) return EnterMember(i, shape, std::move(member));
    Value content = FindContentMethod(shape, all);
    if (!content.is_unset()) {
      for (Value& used : all) used.Clear();
      frame_->base[i.c] = std::move(content);
      return false;
    }
  }
  if (window[0].is_handle() && !method) {
    tensors_.WriteAt(where());
    Value result = window[0].as_handle().CallMethod(
        shape.method, all.subspan(1), shape.names);
    if (!result.is_unset()) {
      for (Value& used : all) used.Clear();
      frame_->base[i.c] = std::move(result);
      return false;
    }
  }
  if (shape.otherwise.is_unset()) {
    Fail(ErrorKind::kProgram,
         "{} has no member '{}', and there is no function "
         "of that name",
         Describe(window[0]), shape.method);
  }
  return Enter(shape.otherwise, all, window, shape.names, i.c);
}

Value Vm::Call(const Value& callee, std::span<const Value> arguments) {
  std::vector<Value> copies(arguments.begin(), arguments.end());
  if (callee.is_builtin()) {
    return BindAndCall(static_cast<uint16_t>(callee.as_builtin()), copies, {});
  }
  if (!callee.is_function()) {
    Fail(ErrorKind::kProgram, "{} cannot be called", Describe(callee));
  }
  const FunctionCode& code = *callee.as_function().code;
  std::vector<Value> bound = BindArguments(code.signature, copies, {});
  Value* const window = frame_->base + frame_->code->registers;
  if (native_depth_ == kMaxNativeDepth ||
      window + bound.size() + 1 > registers_.get() + kMaxRegisters) {
    FailDepth(code);
  }
  Push(code, window + 1, window, &callee.as_function(), 0);
  window[0] = callee;  // stays alive while it runs
  std::move(bound.begin(), bound.end(), window + 1);
  ++native_depth_;
  try {
    Value result = Execute();
    --native_depth_;
    return result;
  } catch (...) {
    --native_depth_;
    throw;
  }
}

}  // namespace tl
