#include "interp/operators.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "interp/format_value.h"
#include "interp/map.h"
#include "interp/signatures.h"
#include "lang/binary_op.h"
#include "lang/type_names.h"

namespace tl {
namespace {

// Lists nested deeper than anybody writes; comparing them recurses.
constexpr int kMaxNesting = 1000;
// A string longer than this is a mistake, and memory would not hold it.
constexpr size_t kMaxStringBytes = size_t{1} << 32;

[[noreturn]] void FailOverflow(BinaryOp op, int64_t a, int64_t b) {
  Fail(ErrorKind::kProgram, "{} {} {} does not fit an int", a, SignOf(op), b);
}

[[noreturn]] void FailOperands(BinaryOp op, const Value& a, const Value& b) {
  Fail(ErrorKind::kProgram, "'{}' does not work on {} and {}", SignOf(op),
       Describe(a), Describe(b));
}

int64_t IntPower(int64_t base, int64_t exponent) {
  int64_t result = 1;
  int64_t square = base;
  for (int64_t rest = exponent; rest > 0; rest >>= 1) {
    if ((rest & 1) && __builtin_mul_overflow(result, square, &result)) {
      FailOverflow(BinaryOp::kPower, base, exponent);
    }
    if (rest > 1 && __builtin_mul_overflow(square, square, &square)) {
      FailOverflow(BinaryOp::kPower, base, exponent);
    }
  }
  return result;
}

Value IntBinary(BinaryOp op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
    case BinaryOp::kAdd:
      if (__builtin_add_overflow(a, b, &result)) FailOverflow(op, a, b);
      return Value::Int(result);
    case BinaryOp::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) FailOverflow(op, a, b);
      return Value::Int(result);
    case BinaryOp::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) FailOverflow(op, a, b);
      return Value::Int(result);
    case BinaryOp::kDivide:
    case BinaryOp::kRemainder:
      if (b == 0) {
        Fail(ErrorKind::kProgram, "division by zero: {} {} 0", a, SignOf(op));
      }
      if (b == -1) {  // the machine traps on the smallest int
        if (op == BinaryOp::kRemainder) return Value::Int(0);
        if (__builtin_sub_overflow(0, a, &result)) FailOverflow(op, a, b);
        return Value::Int(result);
      }
      return Value::Int(op == BinaryOp::kDivide ? a / b : a % b);
    case BinaryOp::kPower:
      if (b < 0) {
        return Value::Float(
            std::pow(static_cast<double>(a), static_cast<double>(b)));
      }
      return Value::Int(IntPower(a, b));
    case BinaryOp::kLess:
      return Value::Bool(a < b);
    case BinaryOp::kLessEqual:
      return Value::Bool(a <= b);
    case BinaryOp::kGreater:
      return Value::Bool(a > b);
    case BinaryOp::kGreaterEqual:
      return Value::Bool(a >= b);
    case BinaryOp::kEqual:
      return Value::Bool(a == b);
    case BinaryOp::kNotEqual:
      return Value::Bool(a != b);
    case BinaryOp::kMatmul:
    case BinaryOp::kIn:
      break;
  }
  FailOperands(op, Value::Int(a), Value::Int(b));
}

Value FloatBinary(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value::Float(a + b);
    case BinaryOp::kSubtract:
      return Value::Float(a - b);
    case BinaryOp::kMultiply:
      return Value::Float(a * b);
    case BinaryOp::kDivide:
      return Value::Float(a / b);
    case BinaryOp::kRemainder:
      return Value::Float(std::fmod(a, b));
    case BinaryOp::kPower:
      return Value::Float(std::pow(a, b));
    case BinaryOp::kLess:
      return Value::Bool(a < b);
    case BinaryOp::kLessEqual:
      return Value::Bool(a <= b);
    case BinaryOp::kGreater:
      return Value::Bool(a > b);
    case BinaryOp::kGreaterEqual:
      return Value::Bool(a >= b);
    case BinaryOp::kEqual:
      return Value::Bool(a == b);
    case BinaryOp::kNotEqual:
      return Value::Bool(a != b);
    case BinaryOp::kMatmul:
    case BinaryOp::kIn:
      break;
  }
  FailOperands(op, Value::Float(a), Value::Float(b));
}

Value RepeatString(const std::string& text, int64_t times) {
  std::string result;
  if (times <= 0) return Value::String(result);
  if (static_cast<size_t>(times) > kMaxStringBytes / (text.size() + 1)) {
    Fail(ErrorKind::kProgram,
         "a string of {} bytes repeated {} times is too long", text.size(),
         times);
  }
  const size_t size = text.size() * static_cast<size_t>(times);
  RequireMemory(static_cast<int64_t>(size));
  result.reserve(size);
  for (int64_t i = 0; i < times; ++i) result += text;
  return Value::String(std::move(result));
}

Value StringBinary(BinaryOp op, const Value& a, const Value& b) {
  if (a.is_string() && b.is_string()) {
    const int order = a.as_string().compare(b.as_string());
    switch (op) {
      case BinaryOp::kAdd: {
        std::string sum;
        AppendText(sum, a.as_string());
        AppendText(sum, b.as_string());
        return Value::String(std::move(sum));
      }
      case BinaryOp::kLess:
        return Value::Bool(order < 0);
      case BinaryOp::kLessEqual:
        return Value::Bool(order <= 0);
      case BinaryOp::kGreater:
        return Value::Bool(order > 0);
      case BinaryOp::kGreaterEqual:
        return Value::Bool(order >= 0);
      case BinaryOp::kSubtract:
      case BinaryOp::kMultiply:
      case BinaryOp::kDivide:
      case BinaryOp::kRemainder:
      case BinaryOp::kMatmul:
      case BinaryOp::kPower:
      case BinaryOp::kEqual:
      case BinaryOp::kNotEqual:
      case BinaryOp::kIn:
        break;
    }
  }
  if (op == BinaryOp::kMultiply && a.is_string() && b.is_int()) {
    return RepeatString(a.as_string(), b.as_int());
  }
  if (op == BinaryOp::kMultiply && a.is_int() && b.is_string()) {
    return RepeatString(b.as_string(), a.as_int());
  }
  if (op == BinaryOp::kAdd) {
    Fail(ErrorKind::kProgram,
         "'+' does not work on {} and {}; str(x) makes a "
         "string of x",
         Describe(a), Describe(b));
  }
  FailOperands(op, a, b);
}

bool IsArithmeticOperand(const Value& value) {
  return value.is_number() || value.is_list() || value.is_tensor();
}

bool SameNested(Tensors& tensors, const Value& a, const Value& b, Span where,
                int depth);

bool SameLists(Tensors& tensors, const Value& a, const Value& b, Span where,
               int depth) {
  const std::vector<Value>& x = a.as_list();
  const std::vector<Value>& y = b.as_list();
  if (x.size() != y.size()) return false;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!SameNested(tensors, x[i], y[i], where, depth + 1)) return false;
  }
  return true;
}

bool SameMaps(Tensors& tensors, const Value& a, const Value& b, Span where,
              int depth) {
  if (a.as_map().size() != b.as_map().size()) return false;
  for (const MapEntry& entry : a.as_map().entries()) {
    const Value* other = b.as_map().Find(entry.key);
    if (other == nullptr ||
        !SameNested(tensors, entry.value, *other, where, depth + 1)) {
      return false;
    }
  }
  return true;
}

// A bool equals the number that it is in a tensor: any(x) == true.
bool IsComparable(const Value& value) {
  return value.is_bool() || IsArithmeticOperand(value);
}

bool SameTensors(Tensors& tensors, const Value& a, const Value& b, Span where) {
  if (!IsComparable(a) || !IsComparable(b)) return false;
  const Value x = a.is_list() ? tensors.Convert(a, where) : a;
  const Value y = b.is_list() ? tensors.Convert(b, where) : b;
  if (x.is_tensor() && y.is_tensor() &&
      !(AsTensor(x)->shape() == AsTensor(y)->shape())) {
    return false;
  }
  return AllTrue(tensors, tensors.Binary(BinaryOp::kEqual, x, y, where), where);
}

bool SameNested(Tensors& tensors, const Value& a, const Value& b, Span where,
                int depth) {
  if (depth > kMaxNesting) {
    Fail(ErrorKind::kProgram, "lists nested deeper than {} cannot be compared",
         kMaxNesting);
  }
  if (a.is_int() && b.is_int()) return a.as_int() == b.as_int();
  if (a.is_number() && b.is_number()) return a.as_number() == b.as_number();
  if (a.is_tensor() || b.is_tensor()) return SameTensors(tensors, a, b, where);
  if (a.is_bool() && b.is_number()) return a.as_bool() == b.as_number();
  if (a.is_number() && b.is_bool()) return a.as_number() == b.as_bool();
  if (a.tag() != b.tag()) return false;
  switch (a.tag()) {
    case Tag::kNone:
    case Tag::kUnset:
      return true;
    case Tag::kBool:
    case Tag::kInt:
    case Tag::kBuiltin:
      return a.as_int() == b.as_int();
    case Tag::kFloat:
      return a.as_float() == b.as_float();
    case Tag::kString:
      return a.as_string() == b.as_string();
    case Tag::kList:
      return SameLists(tensors, a, b, where, depth);
    case Tag::kMap:
      return SameMaps(tensors, a, b, where, depth);
    case Tag::kRange:
      return a.as_range().begin == b.as_range().begin &&
             a.as_range().count == b.as_range().count &&
             a.as_range().step == b.as_range().step;
    case Tag::kFunction:
    case Tag::kCell:
    case Tag::kTensor:
    case Tag::kHandle:
      return a.object() == b.object();
  }
  return false;
}

Value CastScalar(const Value& x, TypeKind kind) {
  if (x.is_string() && (kind == TypeKind::kInt || kind == TypeKind::kFloat)) {
    const std::string& text = x.as_string();
    const char* end = text.data() + text.size();
    if (kind == TypeKind::kInt) {
      int64_t number = 0;
      const auto read = std::from_chars(text.data(), end, number);
      if (read.ptr == end && read.ec == std::errc()) return Value::Int(number);
    } else {
      double number = 0;
      const auto read = std::from_chars(text.data(), end, number);
      if (read.ptr == end && read.ec == std::errc()) {
        return Value::Float(number);
      }
    }
    Fail(ErrorKind::kProgram, "\"{}\" is not {}", text,
         kind == TypeKind::kInt ? "an int" : "a float");
  }
  if (kind == TypeKind::kInt) {
    if (x.is_int()) return x;
    if (x.is_bool()) return Value::Int(x.as_bool());
    if (x.is_float()) return Value::Int(TruncateToInt(x.as_float()));
  }
  if (kind == TypeKind::kFloat) {
    if (x.is_number()) return Value::Float(x.as_number());
    if (x.is_bool()) return Value::Float(x.as_bool());
  }
  Fail(ErrorKind::kProgram, "{} cannot be made {}", Describe(x),
       kind == TypeKind::kInt ? "an int" : "a float");
}

}  // namespace

Value BinaryValue(Tensors& tensors, BinaryOp op, const Value& a, const Value& b,
                  Span where) {
  if (a.is_int() && b.is_int()) return IntBinary(op, a.as_int(), b.as_int());
  if (a.is_number() && b.is_number()) {
    return FloatBinary(op, a.as_number(), b.as_number());
  }
  if (op == BinaryOp::kIn) {
    return Value::Bool(ContainsValue(tensors, b, a, where));
  }
  const bool equality = op == BinaryOp::kEqual || op == BinaryOp::kNotEqual;
  const bool with_tensor = a.is_tensor() || b.is_tensor();
  const bool of_tensors =
      equality ? with_tensor && IsComparable(a) && IsComparable(b)
               : IsArithmeticOperand(a) && IsArithmeticOperand(b);
  if (of_tensors) return tensors.Binary(op, a, b, where);
  if (equality) {
    return Value::Bool(Same(tensors, a, b, where) == (op == BinaryOp::kEqual));
  }
  if (a.is_string() || b.is_string()) return StringBinary(op, a, b);
  FailOperands(op, a, b);
}

Value NegateValue(Tensors& tensors, const Value& x, Span where) {
  if (x.is_int()) {
    int64_t result = 0;
    if (__builtin_sub_overflow(0, x.as_int(), &result)) {
      Fail(ErrorKind::kProgram, "-({}) does not fit an int", x.as_int());
    }
    return Value::Int(result);
  }
  if (x.is_float()) return Value::Float(-x.as_float());
  if (x.is_tensor() || x.is_list()) return tensors.Negate(x, where);
  Fail(ErrorKind::kProgram, "'-' does not work on {}", Describe(x));
}

bool Truth(Tensors& tensors, const Value& x) {
  if (x.is_bool()) return x.as_bool();
  if (x.is_int()) return x.as_int() != 0;
  if (x.is_float()) return x.as_float() != 0;
  if (x.is_tensor()) return Truth(tensors, tensors.Number(x));
  if (x.is_none()) {
    Fail(ErrorKind::kProgram,
         "none is neither true nor false; compare it: x == none");
  }
  Fail(ErrorKind::kProgram,
       "{} is neither true nor false; a condition is a "
       "bool or a number",
       Describe(x));
}

bool AllTrue(Tensors& tensors, const Value& x, Span where) {
  static const uint16_t all = *FindBuiltin("all");
  const Value arguments[] = {x, Value(), Value::Bool(false)};
  const Value answer = tensors.Call(
      static_cast<uint16_t>(all - FirstTensorFunction()), arguments, where);
  return Truth(tensors, answer);
}

bool Same(Tensors& tensors, const Value& a, const Value& b, Span where) {
  return SameNested(tensors, a, b, where, 0);
}

bool ContainsValue(Tensors& tensors, const Value& container,
                   const Value& element, Span where) {
  if (container.is_string()) {
    if (!element.is_string()) FailOperands(BinaryOp::kIn, element, container);
    return container.as_string().find(element.as_string()) != std::string::npos;
  }
  if (container.is_list()) {
    for (const Value& item : container.as_list()) {
      if (Same(tensors, item, element, where)) return true;
    }
    return false;
  }
  if (container.is_map()) return container.as_map().Find(element) != nullptr;
  if (container.is_range()) {
    const RangeObject& range = container.as_range();
    const int64_t number =
        WholeNumber(tensors, element, "an element of a range");
    const __int128 offset = static_cast<__int128>(number) - range.begin;
    return offset % range.step == 0 && offset / range.step >= 0 &&
           offset / range.step < range.count;
  }
  if (container.is_handle()) return container.as_handle().Contains(element);
  FailOperands(BinaryOp::kIn, element, container);
}

Value CastValue(Tensors& tensors, const Value& x, const TypeExpr& type,
                Span where) {
  switch (type.kind) {
    case TypeKind::kInt:
    case TypeKind::kFloat:
      return CastScalar(x.is_tensor() ? tensors.Number(x) : x, type.kind);
    case TypeKind::kBool:
      return Value::Bool(Truth(tensors, x));
    case TypeKind::kString:
      return Value::String(ToText(tensors, x));
    case TypeKind::kElementTensor:
      return tensors.Make(x, type.element, where);
    case TypeKind::kTensor:
      return x.is_list() ? tensors.Convert(x, where) : x;
    case TypeKind::kAny:
    case TypeKind::kList:
    case TypeKind::kMap:
    case TypeKind::kModel:
    case TypeKind::kCache:
    case TypeKind::kTokenizer:
    case TypeKind::kFunction:
    case TypeKind::kVoid:
      break;
  }
  Fail(ErrorKind::kProgram,
       "'as' cannot make {} of {}; it makes int, float, "
       "bool, string and tensor types",
       ToString(type), Describe(x));
}

int64_t WholeNumber(Tensors& tensors, const Value& x, std::string_view what) {
  if (x.is_int()) return x.as_int();
  if (x.is_tensor()) return WholeNumber(tensors, tensors.Number(x), what);
  if (x.is_float()) {
    const double value = x.as_float();
    if (std::trunc(value) == value) return TruncateToInt(value);
    Fail(ErrorKind::kProgram, "{} is {}; expected a whole number", what, value);
  }
  Fail(ErrorKind::kProgram, "{} is {}; expected an int", what, Describe(x));
}

double RealNumber(Tensors& tensors, const Value& x, std::string_view what) {
  if (x.is_number()) return x.as_number();
  if (x.is_tensor()) return RealNumber(tensors, tensors.Number(x), what);
  Fail(ErrorKind::kProgram, "{} is {}; expected a number", what, Describe(x));
}

int64_t TruncateToInt(double value) {
  if (const auto whole = CheckedTruncate(value)) return *whole;
  Fail(ErrorKind::kProgram, "{} does not fit an int", FloatText(value));
}

std::string Describe(const Value& value) {
  if (value.is_none() || value.is_unset()) return "none";
  if (value.is_tensor()) {
    const TensorValue& tensor = *AsTensor(value);
    return fmt::format("{}{}", LanguageName(tensor.dtype()),
                       tensor.shape().ToString());
  }
  const std::string_view name = TypeName(value);
  const bool vowel =
      std::string_view("aeiou").find(name[0]) != std::string_view::npos;
  return fmt::format("{} {}", vowel ? "an" : "a", name);
}

}  // namespace tl
