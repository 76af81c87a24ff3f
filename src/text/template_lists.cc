// Filters of lists and maps.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "text/template_filters.h"
#include "text/template_strings.h"

namespace tl::jinja {
namespace {

// What items are compared by: an attribute of theirs, in small letters unless
// letters are told apart.
Value KeyOf(Renderer& r, const Value& item, const Value& attribute,
            bool case_sensitive) {
  const Value key = attribute.is_defined() && !attribute.is(Kind::kNone)
                        ? r.AttributePath(item, attribute)
                        : item;
  return key.is_string() && !case_sensitive ? r.NewString(Lower(key.text()))
                                            : key;
}

void SortBy(Renderer& r, Values& items, bool reverse, auto key_of) {
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& item : items) {
    Value key = key_of(item);
    keyed.emplace_back(std::move(key), std::move(item));
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [&](const auto& a, const auto& b) {
                     const int order = Order(a.first, b.first, r.budget());
                     return reverse ? order > 0 : order < 0;
                   });
  for (size_t i = 0; i < items.size(); ++i) {
    items[i] = std::move(keyed[i].second);
  }
}

Value Extreme(Renderer& r, const Value& value, const Arguments& arguments,
              int wanted) {
  const Values bound = arguments.Bind({"case_sensitive", "attribute"});
  const auto key_of = [&](const Value& item) {
    return KeyOf(r, item, bound[1], IsTrue(bound[0]));
  };
  const Values items = ItemsOf(value, r.budget());
  if (items.empty()) return Value::Undefined("a list without items");
  size_t best = 0;
  Value best_key = key_of(items[0]);
  for (size_t i = 1; i < items.size(); ++i) {
    Value key = key_of(items[i]);
    if (Order(key, best_key, r.budget()) * wanted <= 0) continue;
    best = i;
    best_key = std::move(key);
  }
  return items[best];
}

// Items for which a test holds, or does not; of an attribute where one is
// named.
Value Selected(Renderer& r, const Value& value, Arguments& arguments,
               bool by_attribute, bool wanted) {
  if (!arguments.named.empty()) {
    FailWith(fmt::format("{} has no parameter '{}'", arguments.callee,
                         arguments.named[0].first));
  }
  Values& given = arguments.values;
  Value attribute;
  if (by_attribute) {
    if (given.empty())
      FailWith(fmt::format("{} needs an attribute's name", arguments.callee));
    attribute = given[0];
    given.erase(given.begin());
  }
  std::string test;
  if (!given.empty()) {
    test = StringOf(given[0], "a test's name");
    given.erase(given.begin());
  }
  const Arguments rest{test, given, {}};
  Values kept;
  for (const Value& item : ItemsOf(value, r.budget())) {
    const Value tested = by_attribute ? r.AttributePath(item, attribute) : item;
    const bool holds =
        test.empty() ? IsTrue(tested) : r.ApplyTest(test, tested, rest);
    if (holds == wanted) kept.push_back(item);
  }
  return r.NewList(std::move(kept));
}

}  // namespace

Value Renderer::AttributePath(const Value& value, const Value& path) {
  budget_.Spend(1);
  SpendFor(path);
  if (path.is_integer()) return Item(value, path);
  std::string_view rest = StringOf(path, "an attribute's name");
  Value at = value;
  while (true) {
    const size_t dot = rest.find('.');
    const std::string part(rest.substr(0, dot));
    int64_t index = 0;
    const char* end = part.data() + part.size();
    const bool number =
        !part.empty() && std::from_chars(part.data(), end, index).ptr == end;
    at = Item(at, number ? Value::Int(index) : Value::String(part));
    if (dot == std::string_view::npos) return at;
    rest.remove_prefix(dot + 1);
  }
}

namespace filters {

Value DictSort(Renderer& r, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"case_sensitive", "by", "reverse"});
  if (!value.is(Kind::kMap)) {
    FailWith(fmt::format("dictsort of a {}; expected a map", TypeName(value)));
  }
  const std::string by =
      bound[1].is_defined() ? StringOf(bound[1], "dictsort: 'by'") : "key";
  if (by != "key" && by != "value") {
    FailWith(fmt::format("dictsort: 'by' is '{}'; expected key or value", by));
  }
  Values items;
  for (const auto& [key, item] : value.map().entries) {
    items.push_back(Value::Tuple({key, item}));
  }
  SortBy(r, items, IsTrue(bound[2]), [&](const Value& pair) {
    return KeyOf(r, pair.items()[by == "key" ? 0 : 1], Value(),
                 IsTrue(bound[0]));
  });
  return r.NewList(std::move(items));
}

Value First(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  const Values items = ItemsOf(value, r.budget());
  return items.empty() ? Value::Undefined("a list without items") : items[0];
}

Value Last(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  const Values items = ItemsOf(value, r.budget());
  return items.empty() ? Value::Undefined("a list without items")
                       : items.back();
}

Value Items(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  Values items;
  if (!value.is_defined()) return r.NewList({});
  if (!value.is(Kind::kMap)) {
    FailWith(fmt::format("items of a {}; expected a map", TypeName(value)));
  }
  for (const auto& [key, item] : value.map().entries) {
    r.budget().Spend(8);
    items.push_back(Value::Tuple({key, item}));
  }
  return r.NewList(std::move(items));
}

Value Join(Renderer& r, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"d", "attribute"});
  const std::string between =
      bound[0].is_defined() ? TextOf(bound[0], r.budget()) : "";
  const bool by_attribute = bound[1].is_defined() && !bound[1].is(Kind::kNone);
  std::string joined;
  bool first = true;
  for (const Value& item : ItemsOf(value, r.budget())) {
    if (!first) joined += between;
    first = false;
    r.budget().Spend(between.size());
    joined += TextOf(by_attribute ? r.AttributePath(item, bound[1]) : item,
                     r.budget());
  }
  return r.NewString(std::move(joined));
}

Value List(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  return r.NewList(ItemsOf(value, r.budget()));
}

Value Map(Renderer& r, const Value& value, Arguments& arguments) {
  Value attribute, otherwise;
  std::string filter;
  if (arguments.values.empty()) {
    const Values bound = arguments.Bind({"attribute", "default"});
    if (!bound[0].is_defined())
      FailWith("map needs a filter or an 'attribute'");
    attribute = bound[0];
    otherwise = bound[1];
  } else {
    filter = StringOf(arguments.values[0], "map: a filter's name");
    arguments.values.erase(arguments.values.begin());
  }
  Values results;
  for (const Value& item : ItemsOf(value, r.budget())) {
    if (filter.empty()) {
      Value found = r.AttributePath(item, attribute);
      results.push_back(found.is_defined() ? std::move(found) : otherwise);
    } else {
      Arguments again = arguments;
      results.push_back(r.ApplyFilter(filter, item, again));
    }
  }
  return r.NewList(std::move(results));
}

Value Max(Renderer& r, const Value& value, Arguments& arguments) {
  return Extreme(r, value, arguments, 1);
}
Value Min(Renderer& r, const Value& value, Arguments& arguments) {
  return Extreme(r, value, arguments, -1);
}

Value Select(Renderer& r, const Value& value, Arguments& arguments) {
  return Selected(r, value, arguments, false, true);
}
Value Reject(Renderer& r, const Value& value, Arguments& arguments) {
  return Selected(r, value, arguments, false, false);
}
Value SelectAttribute(Renderer& r, const Value& value, Arguments& arguments) {
  return Selected(r, value, arguments, true, true);
}
Value RejectAttribute(Renderer& r, const Value& value, Arguments& arguments) {
  return Selected(r, value, arguments, true, false);
}

Value Reverse(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  Values items = ItemsOf(value, r.budget());
  std::reverse(items.begin(), items.end());
  if (!value.is_string()) return r.NewList(std::move(items));
  std::string text;
  for (const Value& c : items) text += c.text();
  return r.NewString(std::move(text));
}

Value Sort(Renderer& r, const Value& value, Arguments& arguments) {
  const Values bound =
      arguments.Bind({"reverse", "case_sensitive", "attribute"});
  Values items = ItemsOf(value, r.budget());
  SortBy(r, items, IsTrue(bound[0]), [&](const Value& item) {
    return KeyOf(r, item, bound[2], IsTrue(bound[1]));
  });
  return r.NewList(std::move(items));
}

Value Sum(Renderer& r, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"attribute", "start"});
  Value total = bound[1].is_defined() ? bound[1] : Value::Int(0);
  for (const Value& item : ItemsOf(value, r.budget())) {
    const Value part =
        bound[0].is_defined() ? r.AttributePath(item, bound[0]) : item;
    total = r.Arithmetic("+", total, part);
  }
  return total;
}

Value Unique(Renderer& r, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"case_sensitive", "attribute"});
  Values keys, kept;
  for (const Value& item : ItemsOf(value, r.budget())) {
    Value key = KeyOf(r, item, bound[1], IsTrue(bound[0]));
    const bool seen = std::any_of(
        keys.begin(), keys.end(),
        [&](const Value& other) { return Equal(key, other, r.budget()); });
    if (seen) continue;
    keys.push_back(std::move(key));
    kept.push_back(item);
  }
  return r.NewList(std::move(kept));
}

}  // namespace filters
}  // namespace tl::jinja
