// Functions of strings. Characters are UTF-8; upper and lower change ASCII
// letters only, which is said in the reference.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/memory.h"
#include "interp/builtins.h"
#include "interp/format_value.h"
#include "interp/operators.h"
#include "interp/vm.h"

namespace tl {
namespace {

constexpr std::string_view kBlanks = " \t\n\r\v\f";
// Wider fields than this are mistakes, and fmt would fill memory with blanks.
constexpr size_t kMaxSpecDigits = 4;

std::string MapBytes(const std::string& text, char first, char last,
                     int offset) {
  std::string result = text;
  for (char& c : result) {
    if (c >= first && c <= last) c = static_cast<char>(c + offset);
  }
  return result;
}

bool HasLongNumber(std::string_view spec) {
  size_t digits = 0;
  for (char c : spec) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > kMaxSpecDigits) return true;
  }
  return false;
}

bool WantsFloat(std::string_view spec) {
  return !spec.empty() &&
         std::string_view("fFeEgG").find(spec.back()) != std::string_view::npos;
}

// A NaN's sign bit means nothing to a reader.
double WithoutNanSign(double value) {
  return std::isnan(value) ? std::abs(value) : value;
}

std::string FormatField(Vm& vm, const std::string& spec, const Value& value) {
  const Value plain = value.is_tensor() && AsTensor(value)->shape().size() == 1
                          ? vm.tensors().Number(value)
                          : value;
  if (spec.empty()) return ToText(vm.tensors(), plain);
  const std::string field = "{:" + spec + "}";
  const auto pattern = fmt::runtime(field);
  try {
    if (HasLongNumber(spec)) throw fmt::format_error("");
    if (plain.is_number() && WantsFloat(spec)) {
      return fmt::format(pattern, WithoutNanSign(plain.as_number()));
    }
    if (plain.is_int()) return fmt::format(pattern, plain.as_int());
    if (plain.is_float()) {
      return fmt::format(pattern, WithoutNanSign(plain.as_float()));
    }
    return fmt::format(pattern, ToText(vm.tensors(), plain));
  } catch (const fmt::format_error&) {
    Fail(ErrorKind::kProgram, "format: '{{:{}}}' does not fit {}", spec,
         Describe(plain));
  }
}

// Takes `{...}` off the front of `rest`; what is after the colon.
std::string TakeSpec(std::string_view& rest) {
  const size_t close = rest.find('}');
  if (close == std::string_view::npos) {
    Fail(ErrorKind::kProgram,
         "format: a '{{' is not closed; '{{{{' writes one as it is");
  }
  const std::string_view field = rest.substr(1, close - 1);
  rest.remove_prefix(close + 1);
  if (field.empty()) return "";
  if (field[0] != ':') {
    Fail(ErrorKind::kProgram,
         "format: '{{{}}}' is no field; a field is {{}} or {{:spec}}", field);
  }
  return std::string(field.substr(1));
}

std::string FormatAll(Vm& vm, const std::string& pattern,
                      const std::vector<Value>& values) {
  std::string result;
  std::string_view rest = pattern;
  size_t next = 0;
  while (!rest.empty()) {
    if (rest.starts_with("{{") || rest.starts_with("}}")) {
      result += rest[0];
      rest.remove_prefix(2);
    } else if (rest[0] == '{') {
      const std::string spec = TakeSpec(rest);
      if (next == values.size()) {
        Fail(ErrorKind::kProgram,
             "format: the pattern has more fields than the {} value{} given",
             values.size(), values.size() == 1 ? "" : "s");
      }
      result += FormatField(vm, spec, values[next++]);
    } else {
      const size_t plain = std::min(rest.find_first_of("{}", 1), rest.size());
      result += rest.substr(0, plain);
      rest.remove_prefix(plain);
    }
  }
  if (next != values.size()) {
    Fail(ErrorKind::kProgram,
         "format: the pattern has {} field{}, and {} value{} given", next,
         next == 1 ? "" : "s", values.size(),
         values.size() == 1 ? " is" : "s are");
  }
  return result;
}

}  // namespace

const std::string& StringArgument(const Value& value, std::string_view function,
                                  std::string_view parameter) {
  if (value.is_string()) return value.as_string();
  Fail(ErrorKind::kProgram, "{}: '{}' is {}; expected a string", function,
       parameter, Describe(value));
}

const std::string& PathArgument(const Value& value, std::string_view function) {
  const std::string& path = StringArgument(value, function, "path");
  if (path.empty()) {
    Fail(ErrorKind::kInput, "{}: 'path' is ''; expected the name of a file",
         function);
  }
  // The system reads names up to a NUL: it would be another file.
  if (path.find('\0') != std::string::npos) {
    Fail(ErrorKind::kInput, "{}: 'path' is {}; a name of a file holds no NUL",
         function, Quoted(path));
  }
  return path;
}

namespace builtins {

Value StartsWith(Vm&, std::span<Value> arguments) {
  return Value::Bool(
      StringArgument(arguments[0], "starts_with", "text")
          .starts_with(StringArgument(arguments[1], "starts_with", "part")));
}

Value EndsWith(Vm&, std::span<Value> arguments) {
  return Value::Bool(
      StringArgument(arguments[0], "ends_with", "text")
          .ends_with(StringArgument(arguments[1], "ends_with", "part")));
}

Value Replace(Vm&, std::span<Value> arguments) {
  const std::string& text = StringArgument(arguments[0], "replace", "text");
  const std::string& from = StringArgument(arguments[1], "replace", "from");
  const std::string& to = StringArgument(arguments[2], "replace", "to");
  if (from.empty()) return arguments[0];
  std::string result;
  std::string_view rest = text;
  for (;;) {
    const size_t at = rest.find(from);
    AppendText(result, rest.substr(0, at));
    if (at == std::string_view::npos) return Value::String(std::move(result));
    AppendText(result, to);
    rest.remove_prefix(at + from.size());
  }
}

Value Trim(Vm&, std::span<Value> arguments) {
  const std::string& text = StringArgument(arguments[0], "trim", "text");
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string::npos) return Value::String("");
  const size_t end = text.find_last_not_of(kBlanks);
  return Value::String(text.substr(begin, end - begin + 1));
}

Value Lower(Vm&, std::span<Value> arguments) {
  return Value::String(MapBytes(StringArgument(arguments[0], "lower", "text"),
                                'A', 'Z', 'a' - 'A'));
}

Value Upper(Vm&, std::span<Value> arguments) {
  return Value::String(MapBytes(StringArgument(arguments[0], "upper", "text"),
                                'a', 'z', 'A' - 'a'));
}

Value Join(Vm& vm, std::span<Value> arguments) {
  if (!arguments[0].is_list()) {
    Fail(ErrorKind::kProgram, "join: 'parts' is {}; expected a list",
         Describe(arguments[0]));
  }
  const std::string& between = StringArgument(arguments[1], "join", "between");
  std::string result;
  bool first = true;
  for (const Value& part : arguments[0].as_list()) {
    if (!first) AppendText(result, between);
    first = false;
    AppendText(result, ToText(vm.tensors(), part));
  }
  return Value::String(std::move(result));
}

Value Format(Vm& vm, std::span<Value> arguments) {
  return Value::String(
      FormatAll(vm, StringArgument(arguments[0], "format", "pattern"),
                arguments[1].as_list()));
}

}  // namespace builtins
}  // namespace tl
