// Writing, reading and the world outside; what kind of thing a value is.

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/read_stream.h"
#include "base/replace_file.h"
#include "base/utf8.h"
#include "interp/builtins.h"
#include "interp/format_value.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "interp/ranges.h"
#include "interp/subscripts.h"
#include "interp/vm.h"
#include "lang/ast.h"

namespace tl {
namespace {

// A program that reads a larger text has the wrong file.
constexpr size_t kMaxTextBytes = size_t{1} << 32;

TypeExpr Scalar(TypeKind kind) {
  TypeExpr type;
  type.kind = kind;
  return type;
}

}  // namespace

namespace builtins {

namespace {

// The values of a call, joined by blanks.
std::string Joined(Vm& vm, const Value& values) {
  std::string line;
  int column = 0;
  for (const Value& value : values.as_list()) {
    if (!line.empty() || &value != values.as_list().data()) {
      line += ' ';
      ++column;
    }
    const std::string text = ToText(vm.tensors(), value, column);
    const size_t newline = text.rfind('\n');
    const std::string_view tail =
        newline == std::string::npos
            ? std::string_view(text)
            : std::string_view(text).substr(newline + 1);
    if (newline != std::string::npos) column = 0;
    column += static_cast<int>(CountCharacters(tail));
    line += text;
  }
  return line;
}

}  // namespace

Value Print(Vm& vm, std::span<Value> arguments) {
  vm.output().Write(Joined(vm, arguments[0]) + '\n');
  return Value();
}

Value Write(Vm& vm, std::span<Value> arguments) {
  vm.output().Write(Joined(vm, arguments[0]));
  vm.output().Flush();
  return Value();
}

Value Eprint(Vm& vm, std::span<Value> arguments) {
  const std::string line =
      vm.output().Message(Joined(vm, arguments[0]) + '\n');
  vm.output().Flush();
  std::fwrite(line.data(), 1, line.size(), stderr);
  return Value();
}

Value Input(Vm& vm, std::span<Value> arguments) {
  if (const LineReader& read_line = vm.environment().read_line) {
    vm.output().Flush();
    auto line = read_line(ToText(vm.tensors(), arguments[0]));
    return line ? Value::String(*std::move(line)) : Value();
  }
  if (!arguments.empty()) {
    vm.output().Write(ToText(vm.tensors(), arguments[0]));
  }
  vm.output().Flush();
  char* buffer = nullptr;
  size_t capacity = 0;
  errno = 0;
  const ssize_t length = getline(&buffer, &capacity, stdin);
  const std::unique_ptr<char, void (*)(void*)> owned(buffer, std::free);
  if (length < 0) {
    const bool at_end = errno != EINTR;
    std::clearerr(stdin);
    PollInterrupt();
    // After another signal the prompt stands already.
    return at_end ? Value() : Input(vm, {});
  }
  std::string line(buffer, static_cast<size_t>(length));
  if (line.ends_with('\n')) line.pop_back();
  if (line.ends_with('\r')) line.pop_back();
  return Value::String(std::move(line));
}

Value ReadText(Vm&, std::span<Value> arguments) {
  const std::string& path = PathArgument(arguments[0], "read_text");
  std::string text = ReadStream(path, kMaxTextBytes);
  if (text.size() > kMaxTextBytes) {
    Fail(ErrorKind::kInput, "{}: longer than {} bytes", path, kMaxTextBytes);
  }
  return Value::String(std::move(text));
}

Value WriteText(Vm&, std::span<Value> arguments) {
  const std::string& path = PathArgument(arguments[0], "write_text");
  const std::string& text = StringArgument(arguments[1], "write_text", "text");
  ReplaceFile file(path, static_cast<int64_t>(text.size()));
  file.Write(std::as_bytes(std::span(text)));
  file.Commit();
  return Value();
}

Value Env(Vm&, std::span<Value> arguments) {
  const std::string& name = StringArgument(arguments[0], "env", "name");
  const char* value = std::getenv(name.c_str());
  if (value != nullptr) return Value::String(value);
  return arguments[1].is_unset() ? Value() : arguments[1];
}

Value Args(Vm& vm, std::span<Value>) {
  std::vector<Value> list;
  for (const std::string& argument : vm.environment().arguments) {
    list.push_back(Value::String(argument));
  }
  return Value::List(std::move(list));
}

Value Time(Vm&, std::span<Value>) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return Value::Float(std::chrono::duration<double>(now).count());
}

Value Interruptible(Vm& vm, std::span<Value> arguments) {
  try {
    const InterruptCatcher catcher;
    vm.Call(arguments[0], {});
    PollInterrupt();  // or what comes next would be stopped
    return Value::Bool(true);
  } catch (const Interrupted&) {
    return Value::Bool(false);
  }
}

Value Exit(Vm& vm, std::span<Value> arguments) {
  const int64_t code = WholeNumber(vm.tensors(), arguments[0], "exit: 'code'");
  if (code < 0 || code > 255) {
    Fail(ErrorKind::kProgram, "exit: 'code' is {}; expected 0 to 255", code);
  }
  throw ExitRequest{static_cast<int>(code)};
}

Value Len(Vm&, std::span<Value> arguments) {
  const Value& x = arguments[0];
  switch (x.tag()) {
    case Tag::kString:
      return Value::Int(static_cast<int64_t>(CountCharacters(x)));
    case Tag::kList:
      return Value::Int(static_cast<int64_t>(x.as_list().size()));
    case Tag::kMap:
      return Value::Int(static_cast<int64_t>(x.as_map().size()));
    case Tag::kRange:
      return Value::Int(x.as_range().count);
    case Tag::kHandle:
      return Value::Int(x.as_handle().Length());
    case Tag::kTensor:
      if (AsTensor(x)->rank() == 0) break;
      return Value::Int(AsTensor(x)->shape().dim(0));
    case Tag::kNone:
    case Tag::kUnset:
    case Tag::kBool:
    case Tag::kInt:
    case Tag::kFloat:
    case Tag::kBuiltin:
    case Tag::kFunction:
    case Tag::kCell:
      break;
  }
  Fail(ErrorKind::kProgram, "{} has no length", Describe(x));
}

Value Str(Vm& vm, std::span<Value> arguments) {
  return Value::String(ToText(vm.tensors(), arguments[0]));
}

Value Int(Vm& vm, std::span<Value> arguments) {
  return CastValue(vm.tensors(), arguments[0], Scalar(TypeKind::kInt),
                   vm.where());
}

Value Float(Vm& vm, std::span<Value> arguments) {
  const Value& x = arguments[0];
  if (x.is_list() || (x.is_tensor() && AsTensor(x)->rank() > 0)) {
    return vm.tensors().Make(x, ElementType::kFloat32, vm.where());
  }
  return CastValue(vm.tensors(), x, Scalar(TypeKind::kFloat), vm.where());
}

Value Bool(Vm& vm, std::span<Value> arguments) {
  return Value::Bool(Truth(vm.tensors(), arguments[0]));
}

Value Type(Vm&, std::span<Value> arguments) {
  return Value::String(std::string(TypeName(arguments[0])));
}

Value ShapeOf(Vm& vm, std::span<Value> arguments) {
  if (arguments[0].is_number()) return Value::List({});
  return GetMember(vm.tensors(), arguments[0], "shape", vm.where());
}

Value Range(Vm& vm, std::span<Value> arguments) {
  Tensors& tensors = vm.tensors();
  const bool has_end = !arguments[1].is_unset() && !arguments[1].is_none();
  const int64_t first = WholeNumber(tensors, arguments[0], "range: 'start'");
  const int64_t step = WholeNumber(tensors, arguments[2], "range: 'step'");
  if (!has_end) return MakeRangeValue(0, first, step);
  return MakeRangeValue(
      first, WholeNumber(tensors, arguments[1], "range: 'end'"), step);
}

Value RangeI(Vm& vm, std::span<Value> arguments) {
  Value all[] = {arguments[0], arguments[1], Value::Int(1)};
  return Range(vm, all);
}

}  // namespace builtins
}  // namespace tl
