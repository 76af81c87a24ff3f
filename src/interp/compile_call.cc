// Calls. Arguments are put in the order of the parameters here wherever the
// function is known; else the machine does it (vm_call.cc).
#include <fmt/format.h>

#include "interp/function_compiler.h"
#include "interp/mutators.h"
#include "lang/type_names.h"

namespace tl {

Value FunctionCompiler::FunctionValue(const std::string& name) const {
  const auto function = module_.names.functions.find(name);
  if (function != module_.names.functions.end()) {
    const FunctionCode* code = module_.program.functions[function->second].get();
    return Value::Adopt(new FunctionObject(code, code->unit));
  }
  const std::optional<uint16_t> builtin = FindBuiltin(name);
  return builtin ? Value::Builtin(*builtin) : Value::Unset();
}

void FunctionCompiler::CallInto(const CallExpr& call, uint16_t target) {
  const int mark = next_register_;
  if (const auto* name = FindAs<NameExpr>(*call.callee)) {
    NamedCallInto(call, *name, target);
  } else if (const auto* member = FindAs<MemberExpr>(*call.callee)) {
    MethodCallInto(call, *member, target);
  } else if (const auto* path = FindAs<PathExpr>(*call.callee)) {
    PathCallInto(call, *path, target);
  } else {
    ValueCallInto(call, Temporary(*call.callee), target);
  }
  next_register_ = mark;
}

void FunctionCompiler::NamedCallInto(const CallExpr& call,
                                     const NameExpr& callee, uint16_t target) {
  const std::optional<Name> variable = FindVariable(callee.name);
  const std::optional<Name> function = FindFunctionNamed(callee.name);
  if (variable) {
    const uint16_t in_register = NewRegister(callee.span);
    LoadName(*variable, callee.name, in_register, callee.span);
    // A variable that cannot be called does not hide a function.
    if (function) {
      Emit(callee.span, Opcode::kCallable, in_register,
           Constant(FunctionValue(callee.name), callee.span));
    }
    return ValueCallInto(call, in_register, target);
  }
  if (!function) {
    FailAt(callee.span, fmt::format("unknown function '{}'", callee.name));
  }
  if (function->kind == NameKind::kFunction) {
    return FunctionCallInto(call, function->index, target);
  }
  std::vector<NamedArgument> arguments = ArgumentsOf(call);
  BuiltinCallInto(arguments, call.span, function->index, target);
}

std::vector<FunctionCompiler::NamedArgument> FunctionCompiler::ArgumentsOf(
    const CallExpr& call) {
  std::vector<NamedArgument> arguments;
  for (const CallArgument& argument : call.arguments) {
    arguments.push_back(
        {argument.name, argument.value.get(), Value(), argument.span});
  }
  return arguments;
}

ArgumentBinding FunctionCompiler::BindOrFail(
    const Signature& signature, std::span<const NamedArgument> arguments,
    Span span) const {
  std::vector<std::string_view> names;
  for (const NamedArgument& argument : arguments) {
    names.push_back(argument.name);
  }
  ArgumentBinding binding = Bind(signature, names);
  if (!binding.fits()) FailAt(span, binding.fault);
  return binding;
}

// Arguments are evaluated in the order of the text, each into the register of
// its parameter.
void FunctionCompiler::ArgumentsInto(const ArgumentBinding& binding,
                                     std::span<const NamedArgument> arguments,
                                     uint16_t window) {
  std::vector<std::optional<size_t>> parameter_of(arguments.size());
  for (size_t at = 0; at < binding.arguments.size(); ++at) {
    const int argument = binding.arguments[at];
    if (argument != ArgumentBinding::kDefault) parameter_of[argument] = at;
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!parameter_of[i]) continue;
    const NamedArgument& argument = arguments[i];
    const uint16_t slot = static_cast<uint16_t>(window + *parameter_of[i]);
    if (argument.expr != nullptr) {
      Into(*argument.expr, slot);
    } else {
      ConstantInto(argument.constant, slot, argument.span);
    }
  }
}

void FunctionCompiler::FunctionCallInto(const CallExpr& call, uint16_t function,
                                        uint16_t target) {
  const FunctionCode& code = *module_.program.functions[function];
  const std::vector<NamedArgument> arguments = ArgumentsOf(call);
  const ArgumentBinding binding =
      BindOrFail(code.signature, arguments, call.span);
  const uint16_t window = NewRegisters(code.parameters(), call.span);
  ArgumentsInto(binding, arguments, window);
  for (size_t at = 0; at < binding.arguments.size(); ++at) {
    if (binding.arguments[at] == ArgumentBinding::kDefault) {
      Emit(call.span, Opcode::kLoadUnset, window + static_cast<int>(at));
    }
  }
  Emit(call.span, Opcode::kCall, window, function, target);
}

void FunctionCompiler::BuiltinCallInto(std::span<const NamedArgument> arguments,
                                       Span span, uint16_t builtin,
                                       uint16_t target) {
  const Signature& signature = SignatureOfBuiltin(builtin);
  const ArgumentBinding binding = BindOrFail(signature, arguments, span);
  const size_t count = signature.parameters.size();
  const uint16_t window = NewRegisters(static_cast<int>(count), span);
  ArgumentsInto(binding, arguments, window);
  for (size_t at = 0; at < count; ++at) {
    const uint16_t slot = static_cast<uint16_t>(window + at);
    if (binding.arguments[at] != ArgumentBinding::kDefault) continue;
    if (signature.parameters[at].rest) {
      std::vector<const Expr*> rest;
      for (int i : binding.rest) rest.push_back(arguments[i].expr);
      ElementsInto(rest, slot, span);
    } else {
      ConstantInto(OmittedArgument(builtin, signature.parameters[at]), slot,
                   span);
    }
  }
  const uint16_t form =
      Numbered(code_.builtin_calls.size(), "calls of built-ins", span);
  code_.builtin_calls.push_back({builtin, static_cast<uint16_t>(count)});
  Emit(span, Opcode::kCallBuiltin, window, form, target);
}

uint16_t FunctionCompiler::Shape(const CallExpr& call, CallShape shape) {
  shape.arguments = Numbered(call.arguments.size(), "arguments", call.span);
  for (const CallArgument& argument : call.arguments) {
    if (!argument.name.empty()) shape.names.push_back(argument.name);
  }
  const uint16_t index = Numbered(code_.calls.size(), "calls", call.span);
  code_.calls.push_back(std::move(shape));
  return index;
}

// The callee is in the newest register.
void FunctionCompiler::ValueCallInto(const CallExpr& call, uint16_t callee,
                                     uint16_t target) {
  for (const CallArgument& argument : call.arguments) {
    Temporary(*argument.value);
  }
  Emit(call.span, Opcode::kCallValue, callee, Shape(call, {}), target);
}

bool FunctionCompiler::IsPlaceCall(const MemberExpr& callee) {
  const std::optional<Name> function = FindFunctionNamed(callee.name);
  const bool own = function && function->kind == NameKind::kFunction;
  return !own && IsMutator(callee.name) && IsPlace(*callee.object);
}

namespace {

// `v.push(x)` on a variable of the function itself: the commonest by far.
bool IsPlainPush(const Place& place) {
  return place.root == RootKind::kRegister && place.steps.empty() &&
         (place.mutator == Mutator::kPush ||
          place.mutator == Mutator::kAppend) &&
         place.call.arguments == 1 && place.call.names.empty();
}

}  // namespace

void FunctionCompiler::PlaceCallInto(const CallExpr& call,
                                     const MemberExpr& callee,
                                     uint16_t target) {
  Place place = PlaceOf(*callee.object);
  const uint16_t window = static_cast<uint16_t>(next_register_);
  for (const CallArgument& argument : call.arguments) {
    Temporary(*argument.value);
  }
  NewRegister(call.span);  // for the receiver, should the call need one
  place.mutator = *FindMutator(callee.name);
  place.call.method = callee.name;
  place.call.arguments =
      Numbered(call.arguments.size(), "arguments", call.span);
  for (const CallArgument& argument : call.arguments) {
    if (!argument.name.empty()) place.call.names.push_back(argument.name);
  }
  place.call.otherwise = FunctionValue(callee.name);
  if (IsPlainPush(place)) {
    Emit(call.span, Opcode::kPush, place.index, window, target);
  }
  Emit(call.span, Opcode::kCallOnPlace, window,
       AddPlace(std::move(place), call.span), target);
}

void FunctionCompiler::MethodCallInto(const CallExpr& call,
                                      const MemberExpr& callee,
                                      uint16_t target) {
  if (IsPlaceCall(callee)) return PlaceCallInto(call, callee, target);
  const std::optional<Name> variable = FindVariable(callee.name);
  if (variable && !FindFunctionNamed(callee.name)) {
    return VariableMethodInto(call, callee, *variable, target);
  }
  const uint16_t window = Temporary(*callee.object);
  for (const CallArgument& argument : call.arguments) {
    Temporary(*argument.value);
  }
  CallShape shape;
  shape.method = callee.name;
  shape.otherwise = FunctionValue(callee.name);
  Emit(call.span, Opcode::kCallMethod, window, Shape(call, std::move(shape)),
       target);
}

// `x.f(a)` where f is a variable that holds a function.
void FunctionCompiler::VariableMethodInto(const CallExpr& call,
                                          const MemberExpr& callee,
                                          Name variable, uint16_t target) {
  const uint16_t window = NewRegister(callee.span);
  LoadName(variable, callee.name, window, callee.name_span);
  Temporary(*callee.object);
  for (const CallArgument& argument : call.arguments) {
    Temporary(*argument.value);
  }
  CallShape shape;
  shape.method = callee.name;
  const uint16_t index = Shape(call, std::move(shape));
  ++code_.calls[index].arguments;
  Emit(call.span, Opcode::kCallValue, window, index, target);
}

void FunctionCompiler::PathCallInto(const CallExpr& call, const PathExpr& path,
                                    uint16_t target) {
  const std::optional<ElementType> element = FindElement(path.scope);
  const std::optional<uint16_t> builtin =
      FindBuiltin(element ? path.name : path.scope + "::" + path.name);
  if (!builtin) {
    FailAt(path.span,
           fmt::format("unknown function '{}::{}'", path.scope, path.name));
  }
  std::vector<NamedArgument> arguments = ArgumentsOf(call);
  if (element) {
    arguments.push_back({"dtype", nullptr,
                         Value::String(std::string(NameOf(*element))),
                         path.span});
  }
  BuiltinCallInto(arguments, call.span, *builtin, target);
}

void FunctionCompiler::TensorInto(const TensorExpr& tensor, uint16_t target) {
  const int mark = next_register_;
  std::vector<NamedArgument> arguments;
  for (const CallArgument& argument : tensor.arguments) {
    arguments.push_back(
        {argument.name, argument.value.get(), Value(), argument.span});
  }
  arguments.push_back({"dtype", nullptr,
                       Value::String(std::string(NameOf(tensor.element))),
                       tensor.span});
  BuiltinCallInto(arguments, tensor.span, *FindBuiltin("tensor"), target);
  next_register_ = mark;
}

}  // namespace tl
