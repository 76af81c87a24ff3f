// A value of a program: 16 bytes, scalars inside, everything else behind a
// counted pointer. Counts are not atomic: one interpreter, one thread.
//
// Strings, lists and maps are values to the program though they are shared
// here: whoever changes one calls Own...() first, which copies it if anybody
// else holds it. So `v.push(x)` on a variable is cheap, and no aliasing shows.
// Owns no meaning: operators are operators.h, printing is format_value.h.
// Read next: map.h for maps, tensors.h for tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "interp/code_unit.h"

namespace tl {

enum class Tag : uint8_t {
  kNone,
  kUnset,  // no value yet: an argument left out, a name before its first `=`
  kBool,
  kInt,
  kFloat,
  kBuiltin,  // a function of the language, by number
  // From here on the payload is an Object.
  kString,
  kList,
  kMap,
  kRange,
  kFunction,
  kCell,
  kTensor,
  kHandle,
};

// Base of what lives on the heap. Only Value and Cell lists count references.
struct Object {
  explicit Object(Tag tag) : tag(tag) {}

  uint32_t references = 1;
  const Tag tag;
};

enum class TypeKind;  // lang/ast.h

struct StringObject;
struct ListObject;
struct MapObject;
struct RangeObject;
struct FunctionObject;
struct CellObject;
struct BoxedObject;
class Handle;

class Value {
 public:
  Value() : tag_(Tag::kNone), bits_{.integer = 0} {}
  Value(const Value& other) : tag_(other.tag_), bits_(other.bits_) {
    if (on_heap()) ++bits_.object->references;
  }
  Value(Value&& other) noexcept : tag_(other.tag_), bits_(other.bits_) {
    other.tag_ = Tag::kNone;
  }
  Value& operator=(const Value& other) {
    Value copy(other);
    swap(copy);
    return *this;
  }
  Value& operator=(Value&& other) noexcept {
    // What was here goes last: it may be what holds `other`.
    Value taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Value() {
    if (on_heap()) Release();
  }

  static Value Unset() { return Value(Tag::kUnset, Bits{.integer = 0}); }
  static Value Bool(bool value) {
    return Value(Tag::kBool, Bits{.integer = value});
  }
  static Value Int(int64_t value) {
    return Value(Tag::kInt, Bits{.integer = value});
  }
  static Value Float(double value) {
    return Value(Tag::kFloat, Bits{.real = value});
  }
  static Value Builtin(uint32_t id) {
    return Value(Tag::kBuiltin, Bits{.integer = id});
  }
  static Value String(std::string text);
  static Value List(std::vector<Value> items);
  static Value Map();
  static Value Range(int64_t begin, int64_t count, int64_t step);
  // Takes over the one reference a new object is born with.
  static Value Adopt(Object* object) {
    return Value(object->tag, Bits{.object = object});
  }

  Tag tag() const { return tag_; }
  bool is_none() const { return tag_ == Tag::kNone; }
  bool is_unset() const { return tag_ == Tag::kUnset; }
  bool is_bool() const { return tag_ == Tag::kBool; }
  bool is_int() const { return tag_ == Tag::kInt; }
  bool is_float() const { return tag_ == Tag::kFloat; }
  bool is_number() const { return is_int() || is_float(); }
  bool is_builtin() const { return tag_ == Tag::kBuiltin; }
  bool is_string() const { return tag_ == Tag::kString; }
  bool is_list() const { return tag_ == Tag::kList; }
  bool is_map() const { return tag_ == Tag::kMap; }
  bool is_range() const { return tag_ == Tag::kRange; }
  bool is_function() const { return tag_ == Tag::kFunction; }
  bool is_tensor() const { return tag_ == Tag::kTensor; }
  bool is_handle() const { return tag_ == Tag::kHandle; }
  bool is_callable() const { return is_function() || is_builtin(); }
  bool on_heap() const { return tag_ >= Tag::kString; }

  // Each requires its tag.
  bool as_bool() const { return bits_.integer != 0; }
  int64_t as_int() const { return bits_.integer; }
  double as_float() const { return bits_.real; }
  uint32_t as_builtin() const { return static_cast<uint32_t>(bits_.integer); }
  double as_number() const {
    return is_int() ? static_cast<double>(as_int()) : as_float();
  }
  const std::string& as_string() const;
  const std::vector<Value>& as_list() const;
  const MapObject& as_map() const;
  const RangeObject& as_range() const;
  FunctionObject& as_function() const;
  CellObject& as_cell() const;
  Handle& as_handle() const;
  Object* object() const { return bits_.object; }

  // The same for changing: copied first unless this is the only holder.
  std::string& OwnString();
  std::vector<Value>& OwnList();
  MapObject& OwnMap();

  bool unique() const { return bits_.object->references == 1; }

  void swap(Value& other) noexcept {
    std::swap(tag_, other.tag_);
    std::swap(bits_, other.bits_);
  }

  // For the machine's inner loop: the target holds no object, so there is
  // nothing to release.
  void SetInt(int64_t value) {
    tag_ = Tag::kInt;
    bits_.integer = value;
  }
  void SetFloat(double value) {
    tag_ = Tag::kFloat;
    bits_.real = value;
  }
  void SetBool(bool value) {
    tag_ = Tag::kBool;
    bits_.integer = value;
  }
  void SetScalar(const Value& scalar) {  // which holds none either
    tag_ = scalar.tag_;
    bits_ = scalar.bits_;
  }
  void Clear() {
    if (on_heap()) Release();
    tag_ = Tag::kNone;
  }

 private:
  union Bits {
    int64_t integer;
    double real;
    Object* object;
  };

  Value(Tag tag, Bits bits) : tag_(tag), bits_(bits) {}
  void Release() {
    if (--bits_.object->references == 0) Destroy(bits_.object);
  }
  static void Destroy(Object* object);

  Tag tag_;
  Bits bits_;
};

static_assert(sizeof(Value) == 16);

struct StringObject : Object {
  explicit StringObject(std::string text)
      : Object(Tag::kString), text(std::move(text)) {}

  static constexpr size_t kUncounted = ~size_t{0};

  std::string text;
  // Of UTF-8, once somebody asked: if they are as many as the bytes, the text
  // is indexed without a walk.
  size_t characters = kUncounted;
};

// Characters of a string value.
size_t CountCharacters(const Value& string);

struct ListObject : Object {
  explicit ListObject(std::vector<Value> items)
      : Object(Tag::kList), items(std::move(items)) {}

  std::vector<Value> items;
};

// begin, begin + step, ...: `count` numbers.
struct RangeObject : Object {
  RangeObject(int64_t begin, int64_t count, int64_t step)
      : Object(Tag::kRange), begin(begin), count(count), step(step) {}

  int64_t begin;
  int64_t count;
  int64_t step;
};

struct FunctionCode;

// A function of the program, with the cells of the variables it shares.
struct FunctionObject : Object {
  FunctionObject(const FunctionCode* code, Ref<CodeUnit> unit)
      : Object(Tag::kFunction), code(code), unit(std::move(unit)) {}

  const FunctionCode* code;
  const Ref<CodeUnit> unit;  // so that the code stays; null where all does
  std::vector<Value> cells;  // Tag::kCell
};

// A variable that a function shares with the one around it. A cell may hold
// the function that holds it; so all cells are in a list, and whoever made
// them empties what is left at the end.
struct CellObject : Object {
  explicit CellObject(CellObject** list);
  ~CellObject() { Unlink(); }

  void Unlink();

  Value value;
  CellObject** list;
  CellObject* next;
  CellObject* previous = nullptr;
};

// Tensors (tensors.h) and handles: what other files bring along.
struct BoxedObject : Object {
  using Object::Object;
  virtual ~BoxedObject() = default;
};

// A model, a part of one, a tokenizer, a cache: shared by all who hold it.
// Each kind says what the language's forms mean for it; by default, an error.
class Handle : public BoxedObject {
 public:
  Handle() : BoxedObject(Tag::kHandle) {}

  virtual std::string_view type_name() const = 0;  // "model"
  // The type of a parameter that takes it; parts of a model are kModel, too.
  virtual TypeKind type() const = 0;
  virtual std::string ToString() const = 0;  // what print shows
  // `h.name`, or an unset value if there is no such member.
  virtual Value FindMember(std::string_view name) const;
  [[noreturn]] virtual void FailMember(std::string_view name) const;
  // Whether `h.name(...)` is the function, whatever members h has.
  virtual bool IsMethod(std::string_view name) const;
  // `h.name(...)` where no function has that name, or an unset value if the
  // handle has no such method either. `names` are of the last arguments.
  virtual Value CallMethod(std::string_view name,
                           std::span<const Value> arguments,
                           const std::vector<std::string>& names);
  virtual Value Index(const Value& key) const;               // h[key]
  virtual void SetIndex(const Value& key, const Value& to);  // h[key] = to
  virtual bool Contains(const Value& key) const;             // key in h
  virtual int64_t Length() const;                            // len(h)
  virtual std::vector<Value> Items() const;                  // for x in h
  virtual void Remove(const Value& key);                     // remove(h, key)
  virtual Value Copy() const;                                // copy(h)
};

inline const std::string& Value::as_string() const {
  return static_cast<StringObject*>(bits_.object)->text;
}
inline const std::vector<Value>& Value::as_list() const {
  return static_cast<ListObject*>(bits_.object)->items;
}
inline std::vector<Value>& Value::OwnList() {
  if (!unique()) [[unlikely]]
    *this = List(as_list());
  return static_cast<ListObject*>(bits_.object)->items;
}
inline const RangeObject& Value::as_range() const {
  return *static_cast<RangeObject*>(bits_.object);
}
inline FunctionObject& Value::as_function() const {
  return *static_cast<FunctionObject*>(bits_.object);
}
inline CellObject& Value::as_cell() const {
  return *static_cast<CellObject*>(bits_.object);
}
inline Handle& Value::as_handle() const {
  return *static_cast<Handle*>(static_cast<BoxedObject*>(bits_.object));
}

// "int", "string", "tensor", ...: as `type(x)` and messages say it.
std::string_view TypeName(const Value& value);

}  // namespace tl
