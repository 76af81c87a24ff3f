// Filters of one value, and the table of all of them. A filter is one row: its
// name and its function.
#include "text/template_filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "text/template_lexer.h"
#include "text/template_strings.h"

namespace tl::jinja {
namespace {

Value Trim(Renderer& r, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"chars"});
  const std::string text = TextOf(value, r.budget());
  return r.NewString(std::string(Stripped(text, bound[0], true, true)));
}

Value Length(Renderer&, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  return Value::Int(static_cast<int64_t>(LengthOf(value)));
}

Value ToUpper(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  return r.NewString(Upper(TextOf(value, r.budget())));
}

Value ToLower(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  return r.NewString(Lower(TextOf(value, r.budget())));
}

Value Title(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  return r.NewString(TitleCased(TextOf(value, r.budget()), true));
}

Value Capitalize(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  return r.NewString(Capitalised(TextOf(value, r.budget())));
}

Value Default(Renderer&, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"default_value", "boolean"});
  const bool replaced =
      !value.is_defined() || (IsTrue(bound[1]) && !IsTrue(value));
  if (!replaced) return value;
  return bound[0].is_defined() ? bound[0] : Value::String("");
}

Value ToJson(Renderer& r, const Value& value, Arguments& arguments) {
  const Values bound =
      arguments.Bind({"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = IsTrue(bound[0]);
  style.sort_keys = IsTrue(bound[3]);
  if (bound[1].is_given()) {
    const int64_t indent = IntOf(bound[1], "tojson: 'indent'");
    if (indent > 100) {
      FailWith(
          fmt::format("tojson: 'indent' is {}; expected at most 100", indent));
    }
    style.indent = static_cast<int>(std::max<int64_t>(indent, 0));
    style.item_separator = ",";
  }
  if (bound[2].is_given()) {
    const Values parts = ItemsOf(bound[2], r.budget());
    if (parts.size() != 2) {
      FailWith(
          fmt::format("tojson: {} separators; expected two", parts.size()));
    }
    style.item_separator = StringOf(parts[0], "tojson: a separator");
    style.key_separator = StringOf(parts[1], "tojson: a separator");
  }
  return Value::String(JsonOf(value, style, r.budget()));
}

Value Replace(Renderer& r, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"old", "new", "count"}, 2);
  const int64_t times =
      bound[2].is_given() ? IntOf(bound[2], "replace: 'count'") : -1;
  return r.NewString(Replaced(TextOf(value, r.budget()),
                              TextOf(bound[0], r.budget()),
                              TextOf(bound[1], r.budget()), times, r.budget()));
}

Value ToString(Renderer& r, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  return value.is_string() ? value : r.NewString(TextOf(value, r.budget()));
}

Value Same(Renderer&, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  return value;
}

std::optional<double> ReadFloat(const Value& value) {
  if (value.is_number()) return value.number();
  if (!value.is_string()) return std::nullopt;
  std::string_view text = StripRight(StripLeft(value.text()));
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

Value ToInt(Renderer&, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"default", "base"});
  const int64_t base =
      bound[1].is_defined() ? IntOf(bound[1], "int: 'base'") : 10;
  if (base < 2 || base > 36) {
    FailWith(fmt::format("int: 'base' is {}; expected 2 to 36", base));
  }
  if (value.is_integer()) return Value::Int(value.integer());
  if (value.is_string()) {
    std::string_view text = StripRight(StripLeft(value.text()));
    if (text.starts_with('+')) text.remove_prefix(1);
    int64_t number = 0;
    const char* last = text.data() + text.size();
    const auto [end, error] =
        std::from_chars(text.data(), last, number, static_cast<int>(base));
    if (error == std::errc() && end == last) return Value::Int(number);
  }
  const std::optional<double> number = ReadFloat(value);
  const auto whole = number ? CheckedTruncate(*number) : std::nullopt;
  if (whole) return Value::Int(*whole);
  return bound[0].is_defined() ? bound[0] : Value::Int(0);
}

Value ToFloat(Renderer&, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"default"});
  if (const std::optional<double> number = ReadFloat(value)) {
    return Value::Float(*number);
  }
  return bound[0].is_defined() ? bound[0] : Value::Float(0);
}

Value Abs(Renderer&, const Value& value, Arguments& arguments) {
  arguments.Bind({});
  if (value.is(Kind::kFloat)) return Value::Float(std::abs(value.number()));
  const int64_t number = IntOf(value, "abs");
  if (number == INT64_MIN) FailWith("an int beyond 64 bits");
  return Value::Int(std::abs(number));
}

Value Round(Renderer&, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"precision", "method"});
  if (!value.is_number()) {
    FailWith(fmt::format("round of a {}; expected a number", TypeName(value)));
  }
  const int64_t digits =
      bound[0].is_defined() ? IntOf(bound[0], "round: 'precision'") : 0;
  if (digits < -300 || digits > 300) {
    FailWith(
        fmt::format("round: 'precision' is {}; expected -300 to 300", digits));
  }
  const std::string method =
      bound[1].is_defined() ? StringOf(bound[1], "round: 'method'") : "common";
  const double x = value.number();
  const double scale = std::pow(10.0, static_cast<double>(digits));
  if (method == "ceil") return Value::Float(std::ceil(x * scale) / scale);
  if (method == "floor") return Value::Float(std::floor(x * scale) / scale);
  if (method != "common") {
    FailWith(
        fmt::format("round: 'method' is '{}'; expected common, ceil or "
                    "floor",
                    method));
  }
  if (value.is_integer() && digits >= 0) return Value::Int(value.integer());
  if (digits < 0) return Value::Float(std::nearbyint(x * scale) / scale);
  // As Python: the decimal number nearest to the exact value.
  return Value::Float(std::stod(fmt::format("{:.{}f}", x, digits)));
}

Value Indent(Renderer& r, const Value& value, Arguments& arguments) {
  const Values bound = arguments.Bind({"width", "first", "blank"});
  std::string indent(4, ' ');
  if (bound[0].is_string()) indent = bound[0].text();
  if (bound[0].is_integer()) {
    const int64_t width = bound[0].integer();
    if (width > 1000) {
      FailWith(
          fmt::format("indent: 'width' is {}; expected at most 1000", width));
    }
    indent.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  const std::string text = TextOf(value, r.budget()) + "\n";
  std::string result = IsTrue(bound[1]) ? indent : "";
  bool first = true;
  for (std::string_view line : SplitLines(text)) {
    if (!first) {
      result += '\n';
      if (!line.empty() || IsTrue(bound[2])) result += indent;
      r.budget().Spend(indent.size());
    }
    result += line;
    first = false;
  }
  return r.NewString(std::move(result));
}

struct FilterRow {
  std::string_view name;
  FilterFunction apply;
};
constexpr FilterRow kFilters[] = {
    {"abs", Abs},
    {"capitalize", Capitalize},
    {"count", Length},
    {"d", Default},
    {"default", Default},
    {"dictsort", filters::DictSort},
    {"first", filters::First},
    {"float", ToFloat},
    {"indent", Indent},
    {"int", ToInt},
    {"items", filters::Items},
    {"join", filters::Join},
    {"last", filters::Last},
    {"length", Length},
    {"list", filters::List},
    {"lower", ToLower},
    {"map", filters::Map},
    {"max", filters::Max},
    {"min", filters::Min},
    {"reject", filters::Reject},
    {"rejectattr", filters::RejectAttribute},
    {"replace", Replace},
    {"reverse", filters::Reverse},
    {"round", Round},
    {"safe", Same},
    {"select", filters::Select},
    {"selectattr", filters::SelectAttribute},
    {"sort", filters::Sort},
    {"string", ToString},
    {"sum", filters::Sum},
    {"title", Title},
    {"tojson", ToJson},
    {"trim", Trim},
    {"unique", filters::Unique},
    {"upper", ToUpper},
};

}  // namespace

Value Renderer::ApplyFilter(const std::string& name, const Value& value,
                            Arguments& arguments) {
  for (const FilterRow& row : kFilters) {
    if (row.name != name) continue;
    arguments.callee = row.name;
    SpendFor(value);
    return row.apply(*this, value, arguments);
  }
  FailWith(fmt::format("there is no filter '{}'", name));
}

}  // namespace tl::jinja
