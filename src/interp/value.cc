#include "interp/value.h"

#include "base/error.h"
#include "base/utf8.h"
#include "interp/map.h"

namespace tl {
namespace {

// What holds the rest of a dying structure while it is taken apart: a list of
// lists of lists may be nested deeper than the machine's stack.
struct Morgue {
  std::vector<Object*> waiting;
  bool open = false;
};

Morgue& TheMorgue() {
  static thread_local Morgue morgue;
  return morgue;
}

void Delete(Object* object) {
  switch (object->tag) {
    case Tag::kString:
      delete static_cast<StringObject*>(object);
      return;
    case Tag::kList:
      delete static_cast<ListObject*>(object);
      return;
    case Tag::kMap:
      delete static_cast<MapObject*>(object);
      return;
    case Tag::kRange:
      delete static_cast<RangeObject*>(object);
      return;
    case Tag::kFunction:
      delete static_cast<FunctionObject*>(object);
      return;
    case Tag::kCell:
      delete static_cast<CellObject*>(object);
      return;
    case Tag::kTensor:
    case Tag::kHandle:
      delete static_cast<BoxedObject*>(object);
      return;
    case Tag::kNone:
    case Tag::kUnset:
    case Tag::kBool:
    case Tag::kInt:
    case Tag::kFloat:
    case Tag::kBuiltin:
      return;
  }
}

}  // namespace

void Value::Destroy(Object* object) {
  if (object->tag == Tag::kString) {
    delete static_cast<StringObject*>(object);
    return;
  }
  Morgue& morgue = TheMorgue();
  if (morgue.open) {
    morgue.waiting.push_back(object);
    return;
  }
  morgue.open = true;
  Delete(object);
  while (!morgue.waiting.empty()) {
    Object* next = morgue.waiting.back();
    morgue.waiting.pop_back();
    Delete(next);
  }
  morgue.open = false;
}

Value Value::String(std::string text) {
  return Adopt(new StringObject(std::move(text)));
}

Value Value::List(std::vector<Value> items) {
  return Adopt(new ListObject(std::move(items)));
}

Value Value::Map() { return Adopt(new MapObject); }

Value Value::Range(int64_t begin, int64_t count, int64_t step) {
  return Adopt(new RangeObject(begin, count, step));
}

std::string& Value::OwnString() {
  if (!unique()) *this = String(as_string());
  auto* string = static_cast<StringObject*>(bits_.object);
  string->characters = StringObject::kUncounted;
  return string->text;
}

size_t CountCharacters(const Value& string) {
  auto* object = static_cast<StringObject*>(string.object());
  if (object->characters == StringObject::kUncounted) {
    object->characters = CountCharacters(object->text);
  }
  return object->characters;
}

MapObject& Value::OwnMap() {
  if (!unique()) *this = Adopt(new MapObject(as_map()));
  return *static_cast<MapObject*>(bits_.object);
}

CellObject::CellObject(CellObject** list)
    : Object(Tag::kCell), list(list), next(*list) {
  if (next != nullptr) next->previous = this;
  *list = this;
}

void CellObject::Unlink() {
  if (list == nullptr) return;
  if (next != nullptr) next->previous = previous;
  (previous != nullptr ? previous->next : *list) = next;
  list = nullptr;
}

Value Handle::FindMember(std::string_view) const { return Value::Unset(); }

void Handle::FailMember(std::string_view name) const {
  Fail(ErrorKind::kProgram, "a {} has no member '{}'", type_name(), name);
}

bool Handle::IsMethod(std::string_view) const { return false; }

Value Handle::CallMethod(std::string_view, std::span<const Value>,
                         const std::vector<std::string>&) {
  return Value::Unset();
}

Value Handle::Index(const Value&) const {
  Fail(ErrorKind::kProgram, "a {} cannot be indexed", type_name());
}

void Handle::SetIndex(const Value&, const Value&) {
  Fail(ErrorKind::kProgram, "a {} has no elements to assign", type_name());
}

bool Handle::Contains(const Value&) const {
  Fail(ErrorKind::kProgram, "'in' does not work on a {}", type_name());
}

int64_t Handle::Length() const {
  Fail(ErrorKind::kProgram, "a {} has no length", type_name());
}

std::vector<Value> Handle::Items() const {
  Fail(ErrorKind::kProgram, "'for' cannot walk over a {}", type_name());
}

void Handle::Remove(const Value&) {
  Fail(ErrorKind::kProgram, "a {} has nothing to remove", type_name());
}

Value Handle::Copy() const {
  Fail(ErrorKind::kProgram, "a {} cannot be copied", type_name());
}

std::string_view TypeName(const Value& value) {
  switch (value.tag()) {
    case Tag::kNone:
    case Tag::kUnset:
      return "none";
    case Tag::kBool:
      return "bool";
    case Tag::kInt:
      return "int";
    case Tag::kFloat:
      return "float";
    case Tag::kString:
      return "string";
    case Tag::kList:
      return "list";
    case Tag::kMap:
      return "map";
    case Tag::kRange:
      return "range";
    case Tag::kBuiltin:
    case Tag::kFunction:
    case Tag::kCell:
      return "function";
    case Tag::kTensor:
      return "tensor";
    case Tag::kHandle:
      return value.as_handle().type_name();
  }
  return "none";
}

}  // namespace tl
