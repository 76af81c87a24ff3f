#include "interp/subscripts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "interp/format_value.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "lang/diagnostics.h"

namespace tl {
namespace {

struct Cut {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t step = 1;
};

// Where a slice of `count` elements begins and ends: clamped, as Python's.
Cut CutOf(Tensors& tensors, const SubscriptValue& slice, size_t count) {
  const int64_t size = static_cast<int64_t>(count);
  const auto bound = [&](const Value& value, int64_t otherwise) {
    if (value.is_none()) return otherwise;
    const int64_t index = WholeNumber(tensors, value, "a slice's bound");
    return std::clamp<int64_t>(index < 0 ? index + size : index, 0, size);
  };
  Cut cut{bound(*slice.begin, 0), bound(*slice.end, size), 1};
  if (!slice.step->is_none()) {
    cut.step = WholeNumber(tensors, *slice.step, "a slice's step");
    if (cut.step <= 0) {
      Fail(ErrorKind::kProgram,
           "a slice's step is {}; it must be positive, and flip() reverses",
           cut.step);
    }
  }
  return cut;
}

Value SliceList(Tensors& tensors, const Value& list,
                const SubscriptValue& slice) {
  const std::vector<Value>& items = list.as_list();
  const Cut cut = CutOf(tensors, slice, items.size());
  std::vector<Value> part;
  for (int64_t i = cut.begin; i < cut.end;) {
    part.push_back(items[static_cast<size_t>(i)]);
    if (cut.end - i <= cut.step) break;
    i += cut.step;
  }
  return Value::List(std::move(part));
}

// The byte where character number `character` begins.
size_t ByteOf(std::string_view text, size_t character) {
  size_t at = 0;
  for (; character > 0 && at < text.size(); --character) {
    at += FirstCharacter(text.substr(at)).bytes;
  }
  return at;
}

Value SliceString(Tensors& tensors, const Value& string,
                  const SubscriptValue& slice) {
  const std::string& text = string.as_string();
  const Cut cut = CutOf(tensors, slice, CountCharacters(string));
  if (cut.begin >= cut.end) return Value::String("");
  std::string_view rest = std::string_view(text).substr(
      ByteOf(text, static_cast<size_t>(cut.begin)));
  std::string part;
  for (int64_t i = cut.begin; i < cut.end; ++i) {
    const size_t bytes = FirstCharacter(rest).bytes;
    if ((i - cut.begin) % cut.step == 0) part += rest.substr(0, bytes);
    rest.remove_prefix(bytes);
  }
  return Value::String(std::move(part));
}

Value CharacterAt(Tensors& tensors, const Value& string, const Value& key) {
  const std::string& text = string.as_string();
  const int64_t index = WholeNumber(tensors, key, "an index");
  const size_t count = CountCharacters(string);
  const size_t position = PositionOf(index, count, "a string");
  const size_t at = count == text.size() ? position : ByteOf(text, position);
  const size_t bytes = FirstCharacter(std::string_view(text).substr(at)).bytes;
  return Value::String(text.substr(at, bytes));
}

[[noreturn]] void FailKey(const Value& map, const Value& key) {
  std::vector<std::string_view> names;
  for (const MapEntry& entry : map.as_map().entries()) {
    if (entry.key.is_string()) names.push_back(entry.key.as_string());
  }
  if (!key.is_string()) {
    Fail(ErrorKind::kProgram, "the map has no key {}",
         key.is_int() ? fmt::format("{}", key.as_int()) : Describe(key));
  }
  const std::string near = NearestName(key.as_string(), names);
  Fail(ErrorKind::kProgram, "the map has no key {}{}", Quoted(key.as_string()),
       near.empty() ? "" : fmt::format("; did you mean {}?", Quoted(near)));
}

bool SelectsSeveral(const Value& key) {
  return key.is_list() ||
         (key.is_tensor() && AsTensor(key)->shape().size() != 1);
}

}  // namespace

std::vector<SubscriptValue> SubscriptsAt(const SubscriptForms& forms,
                                         const Value* registers) {
  std::vector<SubscriptValue> subscripts;
  for (const SubscriptForm& form : forms) {
    SubscriptValue subscript{form.kind, nullptr, nullptr, nullptr, nullptr};
    if (form.kind == SubscriptKind::kIndex) {
      subscript.index = registers;
    } else if (form.kind == SubscriptKind::kSlice) {
      subscript.begin = registers;
      subscript.end = registers + 1;
      subscript.step = registers + 2;
    }
    registers += form.registers();
    subscripts.push_back(subscript);
  }
  return subscripts;
}

void ClearSubscripts(const SubscriptForms& forms, Value* registers) {
  for (const SubscriptForm& form : forms) {
    for (int n = form.registers(); n > 0; --n) (registers++)->Clear();
  }
}

size_t PositionOf(int64_t index, size_t count, std::string_view what) {
  const int64_t size = static_cast<int64_t>(count);
  const int64_t position = index < 0 ? index + size : index;
  if (position >= 0 && position < size) return static_cast<size_t>(position);
  Fail(ErrorKind::kProgram, "index {} is out of range for {} of {}", index,
       what, count);
}

Value GetIndex(Tensors& tensors, const Value& object, const Value& key,
               Span where) {
  switch (object.tag()) {
    case Tag::kList: {
      if (SelectsSeveral(key)) break;
      const std::vector<Value>& items = object.as_list();
      return items[PositionOf(WholeNumber(tensors, key, "an index"),
                              items.size(), "a list")];
    }
    case Tag::kString:
      return CharacterAt(tensors, object, key);
    case Tag::kMap: {
      const Value* found = object.as_map().Find(key);
      if (found == nullptr) FailKey(object, key);
      return *found;
    }
    case Tag::kRange: {
      const RangeObject& range = object.as_range();
      const size_t position =
          PositionOf(WholeNumber(tensors, key, "an index"),
                     static_cast<size_t>(range.count), "a range");
      return Value::Int(range.begin +
                        static_cast<int64_t>(position) * range.step);
    }
    case Tag::kHandle:
      return object.as_handle().Index(key);
    case Tag::kTensor:
      break;
    case Tag::kNone:
    case Tag::kUnset:
    case Tag::kBool:
    case Tag::kInt:
    case Tag::kFloat:
    case Tag::kBuiltin:
    case Tag::kFunction:
    case Tag::kCell:
      Fail(ErrorKind::kProgram, "{} cannot be indexed", Describe(object));
  }
  const SubscriptValue subscript{SubscriptKind::kIndex, &key, nullptr, nullptr,
                                 nullptr};
  return tensors.Index(object, {&subscript, 1}, where);
}

Value GetSubscripts(Tensors& tensors, const Value& object,
                    std::span<const SubscriptValue> subscripts, Span where) {
  if (subscripts.size() == 1) {
    if (subscripts[0].kind == SubscriptKind::kIndex) {
      return GetIndex(tensors, object, *subscripts[0].index, where);
    }
    if (subscripts[0].kind == SubscriptKind::kSlice) {
      if (object.is_list()) return SliceList(tensors, object, subscripts[0]);
      if (object.is_string()) {
        return SliceString(tensors, object, subscripts[0]);
      }
    }
  }
  if (object.is_tensor() || object.is_list()) {
    return tensors.Index(object, subscripts, where);
  }
  Fail(ErrorKind::kProgram, "{} cannot be indexed like this", Describe(object));
}

void SetIndex(Tensors& tensors, Value& object, const Value& key, Value value,
              Span where) {
  switch (object.tag()) {
    case Tag::kList: {
      std::vector<Value>& items = object.OwnList();
      items[PositionOf(WholeNumber(tensors, key, "an index"), items.size(),
                       "a list")] = std::move(value);
      return;
    }
    case Tag::kMap:
      object.OwnMap().At(key) = std::move(value);
      return;
    case Tag::kHandle:
      return object.as_handle().SetIndex(key, value);
    case Tag::kTensor: {
      const SubscriptValue subscript{SubscriptKind::kIndex, &key, nullptr,
                                     nullptr, nullptr};
      return tensors.Assign(object, {&subscript, 1}, value, where);
    }
    case Tag::kString:
    case Tag::kRange:
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
  Fail(ErrorKind::kProgram, "{} has no elements to assign", Describe(object));
}

void SetSubscripts(Tensors& tensors, Value& object,
                   std::span<const SubscriptValue> subscripts, Value value,
                   Span where) {
  if (subscripts.size() == 1 && subscripts[0].kind == SubscriptKind::kIndex) {
    return SetIndex(tensors, object, *subscripts[0].index, std::move(value),
                    where);
  }
  if (object.is_tensor()) {
    return tensors.Assign(object, subscripts, value, where);
  }
  Fail(ErrorKind::kProgram,
       "only one element of {} can be assigned at a time; tensor(x) takes "
       "slices",
       Describe(object));
}

Value FindMemberOf(Tensors& tensors, const Value& object, std::string_view name,
                   Span where) {
  switch (object.tag()) {
    case Tag::kMap: {
      const Value* found = object.as_map().Find(name);
      return found == nullptr ? Value::Unset() : *found;
    }
    case Tag::kHandle:
      return object.as_handle().FindMember(name);
    case Tag::kTensor:
      return tensors.FindMember(object, name, where);
    case Tag::kList:
      // A nested list of numbers is as good as its tensor; `v.size` is not.
      if (name != "shape" && name != "rank" && name != "T") break;
      return tensors.FindMember(tensors.Convert(object, where), name, where);
    case Tag::kNone:
    case Tag::kUnset:
    case Tag::kBool:
    case Tag::kInt:
    case Tag::kFloat:
    case Tag::kString:
    case Tag::kRange:
    case Tag::kBuiltin:
    case Tag::kFunction:
    case Tag::kCell:
      break;
  }
  return Value::Unset();
}

Value GetMember(Tensors& tensors, const Value& object, std::string_view name,
                Span where) {
  Value found = FindMemberOf(tensors, object, name, where);
  if (!found.is_unset()) return found;
  if (object.is_map()) FailKey(object, Value::String(std::string(name)));
  if (object.is_handle()) object.as_handle().FailMember(name);
  Fail(ErrorKind::kProgram, "{} has no member '{}'", Describe(object), name);
}

void SetMember(Value& object, std::string_view name, Value value) {
  if (object.is_map()) {
    object.OwnMap().At(Value::String(std::string(name))) = std::move(value);
    return;
  }
  if (object.is_handle()) {
    return object.as_handle().SetIndex(Value::String(std::string(name)), value);
  }
  Fail(ErrorKind::kProgram, "{} has no members to assign", Describe(object));
}

}  // namespace tl
