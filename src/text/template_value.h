// The values a chat template works with: what JSON has, and besides tuples,
// namespaces, functions, and names that are not defined. They behave as in
// Python, which is what templates are written for: text counts by character,
// `7 // -2` is -4, and `True` is printed with a capital.
//
// Everything but a namespace never changes once made, so values are shared.
// Whatever a value grows with is paid from a Budget, for templates come with
// models and may be hostile.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tl::jinja {

// What went wrong; who renders adds where.
struct Fault {
  std::string text;
};
[[noreturn]] void FailWith(std::string text);

// One unit is a step of the program, or a byte or element that was made.
class Budget {
 public:
  explicit Budget(int64_t units) : units_(units), left_(units) {}
  void Spend(size_t units) {
    if (units > left_) FailSpent();
    left_ -= units;
  }

 private:
  [[noreturn]] void FailSpent() const;
  size_t units_;
  size_t left_;
};

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kMap,
  kNamespace,
  kFunction,
};

class Value;
using Values = std::vector<Value>;
struct MapObject;
struct FunctionObject;

// Lists in lists in lists...; more would make walking them use up the stack.
inline constexpr int kMaxValueDepth = 100;

class Value {
 public:
  // Not defined; `why` is what using it says.
  Value() = default;
  static Value Undefined(std::string why);
  static Value None() { return Value(Kind::kNone); }
  static Value Bool(bool value);
  static Value Int(int64_t value);
  static Value Float(double value);
  static Value String(std::string text);
  static Value List(Values items, Kind kind = Kind::kList);
  static Value Tuple(Values items) {
    return List(std::move(items), Kind::kTuple);
  }
  static Value Map(MapObject map);
  static Value Namespace(std::shared_ptr<MapObject> attributes);
  static Value Function(FunctionObject function);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_defined() const { return kind_ != Kind::kUndefined; }
  bool is_given() const { return is_defined() && kind_ != Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_sequence() const {
    return kind_ == Kind::kList || kind_ == Kind::kTuple;
  }
  // Bools are ints, as in Python.
  bool is_integer() const {
    return kind_ == Kind::kInt || kind_ == Kind::kBool;
  }
  bool is_number() const { return is_integer() || kind_ == Kind::kFloat; }

  // Each requires its kind.
  bool boolean() const { return integer_ != 0; }
  int64_t integer() const { return integer_; }
  double number() const {
    return kind_ == Kind::kFloat ? real_ : static_cast<double>(integer_);
  }
  const std::string& text() const;
  const Values& items() const;
  const MapObject& map() const;
  MapObject& attributes() const;  // of a namespace
  const FunctionObject& function() const;
  // Of what is not defined.
  std::string why() const;

  const void* identity() const { return object_.get(); }
  int depth() const { return depth_; }

 private:
  explicit Value(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::kUndefined;
  int16_t depth_ = 0;
  union {
    int64_t integer_ = 0;
    double real_;
  };
  std::shared_ptr<const void> object_;
};

// Keys in the order in which they came.
struct MapObject {
  using Entry = std::pair<Value, Value>;

  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view name) const;
  void Set(const Value& key, Value value);
  void Set(std::string_view name, Value value) {
    Set(Value::String(std::string(name)), std::move(value));
  }

  std::vector<Entry> entries;

 private:
  static std::string KeyOf(const Value& key);
  const Value* FindKey(const std::string& key) const;

  std::unordered_map<std::string, size_t> places_;
};

struct Node;

// A macro, a function of the language, or a method with its object.
struct FunctionObject {
  std::string name;
  const Node* macro = nullptr;
  Value self;  // of a method
};

// "string", "list", ...: as messages call it.
std::string_view TypeName(const Value& value);
bool IsTrue(const Value& value);
bool Equal(const Value& a, const Value& b, Budget& budget);
// Less than 0, 0 or more. Fails on what has no order.
int Order(const Value& a, const Value& b, Budget& budget);
// What a loop goes over: items, keys, characters. Fails on anything else.
Values ItemsOf(const Value& value, Budget& budget);
size_t LengthOf(const Value& value);

// As print shows it, and as it is shown inside a list.
std::string TextOf(const Value& value, Budget& budget);
void AppendRepr(std::string& out, const Value& value, Budget& budget);

struct JsonStyle {
  int indent = -1;  // -1: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
  bool ascii = false;
};
std::string JsonOf(const Value& value, const JsonStyle& style, Budget& budget);
// Fails, as an Error, on what is no JSON.
Value ParseJson(std::string_view text);

}  // namespace tl::jinja
