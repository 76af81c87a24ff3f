#include "text/template_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/utf8.h"

namespace tl::jinja {

void FailWith(std::string text) { throw Fault{std::move(text)}; }

void Budget::FailSpent() const {
  FailWith(fmt::format("the template takes more than {} steps and characters",
                       units_));
}

namespace {

template <class T>
std::shared_ptr<const void> Share(T value) {
  return std::make_shared<const T>(std::move(value));
}

int16_t DeeperThan(int depth) {
  if (depth >= kMaxValueDepth) {
    FailWith(fmt::format("a value is nested deeper than {}", kMaxValueDepth));
  }
  return static_cast<int16_t>(depth + 1);
}

}  // namespace

Value Value::Undefined(std::string why) {
  Value value;
  value.object_ = Share(std::move(why));
  return value;
}

Value Value::Bool(bool boolean) {
  Value value(Kind::kBool);
  value.integer_ = boolean;
  return value;
}

Value Value::Int(int64_t integer) {
  Value value(Kind::kInt);
  value.integer_ = integer;
  return value;
}

Value Value::Float(double real) {
  Value value(Kind::kFloat);
  value.real_ = real;
  return value;
}

Value Value::String(std::string text) {
  Value value(Kind::kString);
  value.object_ = Share(std::move(text));
  return value;
}

Value Value::List(Values items, Kind kind) {
  Value value(kind);
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  value.depth_ = DeeperThan(depth);
  value.object_ = Share(std::move(items));
  return value;
}

Value Value::Map(MapObject map) {
  Value value(Kind::kMap);
  int depth = 0;
  for (const auto& [key, item] : map.entries) {
    depth = std::max(depth, item.depth());
  }
  value.depth_ = DeeperThan(depth);
  value.object_ = Share(std::move(map));
  return value;
}

Value Value::Namespace(std::shared_ptr<MapObject> attributes) {
  Value value(Kind::kNamespace);
  value.object_ = std::move(attributes);
  return value;
}

Value Value::Function(FunctionObject function) {
  Value value(Kind::kFunction);
  value.depth_ = DeeperThan(function.self.depth());
  value.object_ = Share(std::move(function));
  return value;
}

const std::string& Value::text() const {
  return *static_cast<const std::string*>(object_.get());
}
const Values& Value::items() const {
  return *static_cast<const Values*>(object_.get());
}
const MapObject& Value::map() const {
  return *static_cast<const MapObject*>(object_.get());
}
MapObject& Value::attributes() const {
  return *static_cast<MapObject*>(const_cast<void*>(object_.get()));
}
const FunctionObject& Value::function() const {
  return *static_cast<const FunctionObject*>(object_.get());
}
std::string Value::why() const {
  return object_ ? text() : "a value is not defined";
}

// Keys of maps are equal when these are: True, 1 and 1.0 are one key.
std::string MapObject::KeyOf(const Value& key) {
  switch (key.kind()) {
    case Kind::kString:
      return "s" + key.text();
    case Kind::kNone:
      return "n";
    case Kind::kBool:
    case Kind::kInt:
      return fmt::format("i{}", key.integer());
    case Kind::kFloat: {
      const double x = key.number();
      return x == std::floor(x) && std::abs(x) < 1e18
                 ? fmt::format("i{}", static_cast<int64_t>(x))
                 : fmt::format("f{}", x);
    }
    default:
      FailWith(fmt::format("a {} cannot be a key", TypeName(key)));
  }
}

const Value* MapObject::FindKey(const std::string& key) const {
  const auto place = places_.find(key);
  return place == places_.end() ? nullptr : &entries[place->second].second;
}

const Value* MapObject::Find(const Value& key) const {
  return FindKey(KeyOf(key));
}

const Value* MapObject::Find(std::string_view name) const {
  return FindKey("s" + std::string(name));
}

void MapObject::Set(const Value& key, Value value) {
  const auto [place, is_new] = places_.emplace(KeyOf(key), entries.size());
  if (is_new) {
    entries.emplace_back(key, std::move(value));
  } else {
    entries[place->second].second = std::move(value);
  }
}

std::string_view TypeName(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "undefined";
    case Kind::kNone:
      return "none";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "number";  // a float is called one where that matters
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "string";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kMap:
      return "map";
    case Kind::kNamespace:
      return "namespace";
    case Kind::kFunction:
      return "function";
  }
  return "";
}

bool IsTrue(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.number() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.items().empty();
    case Kind::kMap:
      return !value.map().entries.empty();
    case Kind::kNamespace:
    case Kind::kFunction:
      return true;
  }
  return false;
}

namespace {

bool EqualMaps(const MapObject& a, const MapObject& b, Budget& budget) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = b.Find(key);
    if (!other || !Equal(value, *other, budget)) return false;
  }
  return true;
}

int Sign(bool less, bool greater) { return greater - less; }

}  // namespace

bool Equal(const Value& a, const Value& b, Budget& budget) {
  budget.Spend(1);
  if (a.is_number() && b.is_number()) {
    return a.is_integer() && b.is_integer() ? a.integer() == b.integer()
                                            : a.number() == b.number();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kString:
      budget.Spend(a.text().size() / 16);
      return a.text() == b.text();
    case Kind::kList:
    case Kind::kTuple: {
      const Values &x = a.items(), &y = b.items();
      return x.size() == y.size() &&
             std::equal(x.begin(), x.end(), y.begin(),
                        [&](const Value& p, const Value& q) {
                          return Equal(p, q, budget);
                        });
    }
    case Kind::kMap:
      return EqualMaps(a.map(), b.map(), budget);
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    default:
      return a.identity() == b.identity();
  }
}

int Order(const Value& a, const Value& b, Budget& budget) {
  budget.Spend(1);
  if (!a.is_defined()) FailWith(a.why());
  if (!b.is_defined()) FailWith(b.why());
  if (a.is_integer() && b.is_integer()) {
    return Sign(a.integer() < b.integer(), a.integer() > b.integer());
  }
  if (a.is_number() && b.is_number()) {
    return Sign(a.number() < b.number(), a.number() > b.number());
  }
  if (a.is_string() && b.is_string()) {
    budget.Spend(std::min(a.text().size(), b.text().size()) / 16);
    return Sign(a.text() < b.text(), a.text() > b.text());
  }
  if (a.kind() == b.kind() && a.is_sequence()) {
    const Values &x = a.items(), &y = b.items();
    for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!Equal(x[i], y[i], budget)) return Order(x[i], y[i], budget);
    }
    return Sign(x.size() < y.size(), x.size() > y.size());
  }
  FailWith(
      fmt::format("a {} and a {} have no order", TypeName(a), TypeName(b)));
}

Values ItemsOf(const Value& value, Budget& budget) {
  Values items;
  switch (value.kind()) {
    case Kind::kUndefined:
      return items;
    case Kind::kList:
    case Kind::kTuple:
      budget.Spend(value.items().size());
      return value.items();
    case Kind::kMap:
      budget.Spend(value.map().entries.size());
      for (const auto& [key, item] : value.map().entries) items.push_back(key);
      return items;
    case Kind::kString: {
      std::string_view rest = value.text();
      budget.Spend(rest.size());
      while (!rest.empty()) {
        const size_t size = DecodeUtf8(rest).size;
        items.push_back(Value::String(std::string(rest.substr(0, size))));
        rest.remove_prefix(size);
      }
      return items;
    }
    default:
      FailWith(fmt::format("a {} has no items to go over", TypeName(value)));
  }
}

size_t LengthOf(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kList:
    case Kind::kTuple:
      return value.items().size();
    case Kind::kMap:
      return value.map().entries.size();
    case Kind::kString: {
      size_t count = 0;
      for (std::string_view rest = value.text(); !rest.empty(); ++count) {
        rest.remove_prefix(DecodeUtf8(rest).size);
      }
      return count;
    }
    default:
      FailWith(fmt::format("a {} has no length", TypeName(value)));
  }
}

}  // namespace tl::jinja
