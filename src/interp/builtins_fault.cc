// assert and its kin: what ends a program that is not as it should be.
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "interp/builtins.h"
#include "interp/format_value.h"
#include "interp/operators.h"
#include "interp/vm.h"

namespace tl {
namespace {

// Longer values say less than their beginning.
constexpr size_t kMaxShownBytes = 200;

std::string Shown(Vm& vm, const Value& value) {
  std::string text = value.is_string() ? Quoted(value.as_string())
                                       : ToText(vm.tensors(), value);
  if (text.size() > kMaxShownBytes)
    text = text.substr(0, kMaxShownBytes) + "...";
  return text;
}

std::string MessageOf(Vm& vm, const Value& message) {
  if (message.is_none() || message.is_unset()) return "";
  return ": " + ToText(vm.tensors(), message);
}

// The largest |a - b| is at most eps, NaN nowhere.
bool AboutEqual(Vm& vm, const Value& a, const Value& b, double eps) {
  Tensors& tensors = vm.tensors();
  const Span where = vm.where();
  const Value difference =
      BinaryValue(tensors, BinaryOp::kSubtract, a, b, where);
  if (difference.is_number()) return std::abs(difference.as_number()) <= eps;
  const Value limit = Value::Float(eps);
  const Value low = NegateValue(tensors, limit, where);
  const Value above =
      BinaryValue(tensors, BinaryOp::kLessEqual, difference, limit, where);
  const Value below =
      BinaryValue(tensors, BinaryOp::kGreaterEqual, difference, low, where);
  return AllTrue(tensors, above, where) && AllTrue(tensors, below, where);
}

}  // namespace

namespace builtins {

Value Assert(Vm& vm, std::span<Value> arguments) {
  if (Truth(vm.tensors(), arguments[0])) return Value();
  Fail(ErrorKind::kProgram, "assertion failed{}", MessageOf(vm, arguments[1]));
}

Value AssertEq(Vm& vm, std::span<Value> arguments) {
  if (Same(vm.tensors(), arguments[0], arguments[1], vm.where())) {
    return Value();
  }
  Fail(ErrorKind::kProgram, "assertion failed: {} is not equal to {}{}",
       Shown(vm, arguments[0]), Shown(vm, arguments[1]),
       MessageOf(vm, arguments[2]));
}

Value AssertAboutEq(Vm& vm, std::span<Value> arguments) {
  const double eps =
      RealNumber(vm.tensors(), arguments[2], "assert_about_eq: 'eps'");
  if (AboutEqual(vm, arguments[0], arguments[1], eps)) return Value();
  Fail(ErrorKind::kProgram,
       "assertion failed: {} and {} differ by more than {}",
       Shown(vm, arguments[0]), Shown(vm, arguments[1]), FloatText(eps));
}

Value Panic(Vm& vm, std::span<Value> arguments) {
  Fail(ErrorKind::kProgram, "panic: {}", ToText(vm.tensors(), arguments[0]));
}

}  // namespace builtins
}  // namespace tl
