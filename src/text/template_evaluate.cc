// Expressions. at_ is where the operation at work is written: it is set again
// once the operands are there.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/template_renderer.h"
#include "text/template_strings.h"
#include "text/utf8.h"

namespace tl::jinja {
namespace {

[[noreturn]] void FailBinary(std::string_view op, const Value& a,
                             const Value& b) {
  if (!a.is_defined()) FailWith(a.why());
  if (!b.is_defined()) FailWith(b.why());
  FailWith(
      fmt::format("cannot compute {} {} {}", TypeName(a), op, TypeName(b)));
}

[[noreturn]] void FailBeyond() { FailWith("an int beyond 64 bits"); }

int64_t FloorDivided(int64_t a, int64_t b) {
  if (b == -1 && a == INT64_MIN) FailBeyond();
  return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

int64_t Remainder(int64_t a, int64_t b) {
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

int64_t Power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  bool overflows = false;
  for (bool more = true; more; exponent >>= 1) {
    if (exponent & 1) {
      if (overflows || __builtin_mul_overflow(result, base, &result)) {
        FailBeyond();
      }
    }
    more = exponent > 1;
    overflows |= __builtin_mul_overflow(base, base, &base);
  }
  return result;
}

Value IntArithmetic(const std::string& op, int64_t a, int64_t b) {
  int64_t result = 0;
  if (op == "+" || op == "-" || op == "*") {
    const bool beyond = op == "+"   ? __builtin_add_overflow(a, b, &result)
                        : op == "-" ? __builtin_sub_overflow(a, b, &result)
                                    : __builtin_mul_overflow(a, b, &result);
    if (beyond) FailBeyond();
    return Value::Int(result);
  }
  if (op == "**" && b >= 0) return Value::Int(Power(a, b));
  if (op == "**") return Value::Float(std::pow(double(a), double(b)));
  if (b == 0) FailWith("division by zero");
  if (op == "//") return Value::Int(FloorDivided(a, b));
  if (op == "%") return Value::Int(Remainder(a, b));
  return Value::Float(static_cast<double>(a) / static_cast<double>(b));
}

Value FloatArithmetic(const std::string& op, double a, double b) {
  if (op == "+") return Value::Float(a + b);
  if (op == "-") return Value::Float(a - b);
  if (op == "*") return Value::Float(a * b);
  if (op == "**") return Value::Float(std::pow(a, b));
  if (b == 0) FailWith("division by zero");
  if (op == "/") return Value::Float(a / b);
  if (op == "//") return Value::Float(std::floor(a / b));
  const double rest = std::fmod(a, b);
  return Value::Float(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

// Where a slice of `length` begins and ends, as Python clamps it.
struct SliceRange {
  int64_t start, stop, step;
};
SliceRange RangeOf(int64_t length, const Value& start, const Value& stop,
                   const Value& step) {
  const auto given = [](const Value& v) {
    return v.is_defined() && !v.is(Kind::kNone);
  };
  const int64_t by = given(step) ? IntOf(step, "a slice's step") : 1;
  if (by == 0) FailWith("a slice's step is 0");
  const int64_t lowest = by < 0 ? -1 : 0;
  const int64_t highest = by < 0 ? length - 1 : length;
  const auto clamped = [&](const Value& v, int64_t otherwise) {
    if (!given(v)) return otherwise;
    int64_t at = IntOf(v, "a slice's bound");
    if (at < 0) at = at < -length ? lowest : std::max(at + length, lowest);
    return std::clamp(at, lowest, highest);
  };
  return {clamped(start, by < 0 ? highest : lowest),
          clamped(stop, by < 0 ? lowest : highest), by};
}

}  // namespace

Value Renderer::Evaluate(const Node& node) {
  const Level level(*this);
  budget_.Spend(1);
  return EvaluateKind(node);
}

Value Renderer::EvaluateKind(const Node& node) {
  const auto child = [&](size_t i) { return Evaluate(*node.children[i]); };
  switch (node.kind) {
    case NodeKind::kConstant:
      return node.constant;
    case NodeKind::kName:
      at_ = node.at;
      return FindName(node.name);
    case NodeKind::kList:
      return NewList(EvaluateChildren(node));
    case NodeKind::kTuple:
      return Value::Tuple(EvaluateChildren(node));
    case NodeKind::kMap:
      return EvaluateMap(node);
    case NodeKind::kAttribute: {
      const Node& of = *node.children[0];
      if (of.kind == NodeKind::kName && of.name == "loop") {
        at_ = node.at;
        if (const LoopState* loop = FindLoop())
          return LoopMember(*loop, node.name);
      }
      const Value object = child(0);
      at_ = node.at;
      return Attribute(object, node.name);
    }
    case NodeKind::kItem: {
      const Value object = child(0), key = child(1);
      at_ = node.at;
      return Item(object, key);
    }
    case NodeKind::kSlice:
      return EvaluateSlice(node);
    case NodeKind::kNot:
      return Value::Bool(!IsTrue(child(0)));
    case NodeKind::kNegative:
    case NodeKind::kPositive: {
      const Value value = child(0);
      at_ = node.at;
      if (!value.is_number()) FailBinary("-", Value::Int(0), value);
      const bool negative = node.kind == NodeKind::kNegative;
      return Arithmetic(negative ? "-" : "+", Value::Int(0), value);
    }
    case NodeKind::kBinary:
      return EvaluateBinary(node);
    case NodeKind::kCompare:
      return EvaluateCompare(node);
    case NodeKind::kAnd: {
      const Value left = child(0);
      return IsTrue(left) ? child(1) : left;
    }
    case NodeKind::kOr: {
      const Value left = child(0);
      return IsTrue(left) ? left : child(1);
    }
    case NodeKind::kConditional:
      if (IsTrue(child(0))) return child(1);
      return node.children[2]
                 ? child(2)
                 : Value::Undefined("an 'if' without 'else' does not hold");
    case NodeKind::kCall:
      return EvaluateCall(node);
    case NodeKind::kFilter:
      return EvaluateFilter(node);
    case NodeKind::kTest: {
      const Value value = child(0);
      Arguments arguments{node.name, EvaluateChildren(node, 1), {}};
      at_ = node.at;
      return Value::Bool(ApplyTest(node.name, value, arguments));
    }
    default:
      FailWith("a statement where an expression belongs");
  }
}

Values Renderer::EvaluateChildren(const Node& node, size_t first) {
  Values values;
  for (size_t i = first; i < node.children.size(); ++i) {
    values.push_back(Evaluate(*node.children[i]));
  }
  return values;
}

Value Renderer::EvaluateMap(const Node& node) {
  MapObject map;
  for (size_t i = 0; i < node.children.size(); i += 2) {
    const Value key = Evaluate(*node.children[i]);
    Value value = Evaluate(*node.children[i + 1]);
    at_ = node.at;
    map.Set(key, std::move(value));
  }
  budget_.Spend(8 * map.entries.size());
  return Value::Map(std::move(map));
}

Value Renderer::EvaluateSlice(const Node& node) {
  Value values[4];
  for (size_t i = 0; i < 4; ++i) {
    if (node.children[i]) values[i] = Evaluate(*node.children[i]);
  }
  at_ = node.at;
  return Slice(values[0], values[1], values[2], values[3]);
}

Value Renderer::EvaluateBinary(const Node& node) {
  const Value a = Evaluate(*node.children[0]);
  const Value b = Evaluate(*node.children[1]);
  at_ = node.at;
  if (node.name != "~") return Arithmetic(node.name, a, b);
  std::string text = TextOf(a, budget_);
  text += TextOf(b, budget_);
  return NewString(std::move(text));
}

Value Renderer::EvaluateCompare(const Node& node) {
  Value left = Evaluate(*node.children[0]);
  for (size_t i = 0; i < node.words.size(); ++i) {
    Value right = Evaluate(*node.children[i + 1]);
    at_ = node.at;
    if (!Compare(node.words[i], left, right)) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

Arguments Renderer::EvaluateArguments(const Node& node,
                                      std::string_view callee) {
  Arguments arguments{callee, EvaluateChildren(node, 1), {}};
  for (const Keyword& keyword : node.keywords) {
    arguments.named.emplace_back(keyword.name, Evaluate(*keyword.value));
  }
  at_ = node.at;
  return arguments;
}

Value Renderer::EvaluateCall(const Node& node) {
  const Node& callee = *node.children[0];
  if (callee.kind == NodeKind::kAttribute) {
    const Value self = Evaluate(*callee.children[0]);
    if (HasMethod(self, callee.name)) {
      return CallMethod(self, callee.name,
                        EvaluateArguments(node, callee.name));
    }
    at_ = callee.at;
    const Value function = Attribute(self, callee.name);
    Arguments arguments = EvaluateArguments(node, callee.name);
    return Call(function, arguments);
  }
  const Value function = Evaluate(callee);
  Arguments arguments = EvaluateArguments(node, callee.name);
  return Call(function, arguments);
}

Value Renderer::EvaluateFilter(const Node& node) {
  const Value value =
      node.children[0] ? Evaluate(*node.children[0]) : NewString(block_text_);
  Arguments arguments = EvaluateArguments(node, node.name);
  return ApplyFilter(node.name, value, arguments);
}

Value Renderer::Attribute(const Value& object, const std::string& name) {
  budget_.Spend(name.size() / 16);
  if (!object.is_defined()) FailWith(object.why());
  if (HasMethod(object, name)) return Value::Function({name, nullptr, object});
  const Value* found = nullptr;
  if (object.is(Kind::kMap)) found = object.map().Find(name);
  if (object.is(Kind::kNamespace)) found = object.attributes().Find(name);
  if (found) return *found;
  return Value::Undefined(
      fmt::format("a {} has no '{}'", TypeName(object), name));
}

Value Renderer::Item(const Value& object, const Value& key) {
  if (!object.is_defined()) FailWith(object.why());
  SpendFor(key);
  if (object.is(Kind::kMap)) {
    if (const Value* found = object.map().Find(key)) return *found;
  } else if (key.is_integer() && (object.is_sequence() || object.is_string())) {
    if (object.is_string()) budget_.Spend(object.text().size() / 16);
    const auto length = static_cast<int64_t>(LengthOf(object));
    const int64_t at =
        key.integer() < 0 ? key.integer() + length : key.integer();
    if (at < 0 || at >= length) {
      return Value::Undefined(fmt::format(
          "index {} of a {} of {}", key.integer(), TypeName(object), length));
    }
    if (object.is_sequence()) return object.items()[static_cast<size_t>(at)];
    return Slice(object, Value::Int(at), Value::Int(at + 1), Value());
  }
  if (key.is_string()) return Attribute(object, key.text());
  std::string shown;
  AppendRepr(shown, key, budget_);
  return Value::Undefined(
      fmt::format("a {} has no {}", TypeName(object), shown));
}

Value Renderer::Slice(const Value& object, const Value& start,
                      const Value& stop, const Value& step) {
  if (!object.is_defined()) FailWith(object.why());
  if (!object.is_sequence() && !object.is_string()) {
    FailWith(fmt::format("a {} cannot be sliced", TypeName(object)));
  }
  const bool text = object.is_string();
  if (text) budget_.Spend(object.text().size() / 16);
  const SliceRange range =
      RangeOf(static_cast<int64_t>(LengthOf(object)), start, stop, step);
  if (text && range.step == 1) {
    std::string_view rest = object.text();
    int64_t at = 0;
    const auto skip = [&](int64_t to) {
      const char* begin = rest.data();
      for (; at < to; ++at) rest.remove_prefix(DecodeUtf8(rest).size);
      return std::string_view(begin, rest.data() - begin);
    };
    skip(range.start);
    return NewString(std::string(skip(range.stop)));
  }
  const Values items = ItemsOf(object, budget_);
  Values taken;
  // In steps that do not overflow: no step is longer than the whole.
  const auto length = static_cast<int64_t>(items.size()) + 1;
  const int64_t by = std::clamp(range.step, -length, length);
  for (int64_t i = range.start; by > 0 ? i < range.stop : i > range.stop;
       i += by) {
    taken.push_back(items[static_cast<size_t>(i)]);
  }
  if (!text) {
    budget_.Spend(8 * taken.size());
    return Value::List(std::move(taken), object.kind());
  }
  std::string joined;
  for (const Value& c : taken) joined += c.text();
  return NewString(std::move(joined));
}

Value Renderer::Repeated(const Value& value, int64_t times) {
  const bool text = value.is_string();
  const size_t size = text ? value.text().size() : 8 * value.items().size();
  const size_t count = times < 0 ? 0 : static_cast<size_t>(times);
  // Before anything is made: the product may be any size.
  if (size > 0 && count > max_output_ / size) {
    FailWith(fmt::format("a {} repeated {} times is too large", TypeName(value),
                         times));
  }
  budget_.Spend(size * count);
  if (size == 0) return value;
  if (text) {
    std::string result;
    for (size_t i = 0; i < count; ++i) result += value.text();
    return Value::String(std::move(result));
  }
  Values items;
  for (size_t i = 0; i < count; ++i) {
    items.insert(items.end(), value.items().begin(), value.items().end());
  }
  return Value::List(std::move(items), value.kind());
}

Value Renderer::Arithmetic(const std::string& op, const Value& a,
                           const Value& b) {
  if (a.is_integer() && b.is_integer()) {
    return IntArithmetic(op, a.integer(), b.integer());
  }
  if (a.is_number() && b.is_number()) {
    return FloatArithmetic(op, a.number(), b.number());
  }
  const auto repeats = [](const Value& x) {
    return x.is_string() || x.is_sequence();
  };
  if (op == "*" && repeats(a) && b.is_integer())
    return Repeated(a, b.integer());
  if (op == "*" && repeats(b) && a.is_integer())
    return Repeated(b, a.integer());
  if (op == "+" && a.is_string() && b.is_string()) {
    return NewString(a.text() + b.text());
  }
  if (op == "+" && a.is_sequence() && a.kind() == b.kind()) {
    Values items = a.items();
    items.insert(items.end(), b.items().begin(), b.items().end());
    budget_.Spend(8 * items.size());
    return Value::List(std::move(items), a.kind());
  }
  FailBinary(op, a, b);
}

bool Renderer::Compare(const std::string& op, const Value& a, const Value& b) {
  if (op == "==") return Equal(a, b, budget_);
  if (op == "!=") return !Equal(a, b, budget_);
  if (op == "in") return Contains(b, a);
  if (op == "not in") return !Contains(b, a);
  if (a.is_number() && b.is_number() &&
      (std::isnan(a.number()) || std::isnan(b.number()))) {
    return false;
  }
  const int order = Order(a, b, budget_);
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  if (op == ">") return order > 0;
  return order >= 0;
}

bool Renderer::Contains(const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      budget_.Spend(container.text().size());
      return FindText(container.text(),
                      StringOf(item, "what a string may contain"),
                      0) != std::string_view::npos;
    case Kind::kMap:
      SpendFor(item);
      return container.map().Find(item) != nullptr;
    case Kind::kList:
    case Kind::kTuple:
      return std::any_of(
          container.items().begin(), container.items().end(),
          [&](const Value& other) { return Equal(item, other, budget_); });
    default:
      FailWith(fmt::format("a {} contains nothing that 'in' could find",
                           TypeName(container)));
  }
}

}  // namespace tl::jinja
