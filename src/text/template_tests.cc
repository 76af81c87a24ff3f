// What may follow `is`, and what selectattr and its kin test by name.
#include <fmt/format.h>

#include <algorithm>

#include "text/template_renderer.h"
#include "text/template_strings.h"

namespace tl::jinja {
namespace {

bool IsOfCase(const Value& value, std::string (*change)(std::string_view),
              std::string (*other)(std::string_view)) {
  if (!value.is_string()) return false;
  const std::string& text = value.text();
  return change(text) == text && other(text) != text;
}

using KindTest = bool (*)(const Value&);
struct KindTestRow {
  std::string_view name;
  KindTest holds;
};
constexpr KindTestRow kKindTests[] = {
    {"defined", [](const Value& v) { return v.is_defined(); }},
    {"undefined", [](const Value& v) { return !v.is_defined(); }},
    {"none", [](const Value& v) { return v.is(Kind::kNone); }},
    {"string", [](const Value& v) { return v.is_string(); }},
    {"mapping", [](const Value& v) { return v.is(Kind::kMap); }},
    {"sequence",
     [](const Value& v) {
       return v.is_sequence() || v.is_string() || v.is(Kind::kMap) ||
              !v.is_defined();
     }},
    {"iterable",
     [](const Value& v) {
       return v.is_sequence() || v.is_string() || v.is(Kind::kMap) ||
              !v.is_defined();
     }},
    {"number", [](const Value& v) { return v.is_number(); }},
    {"integer", [](const Value& v) { return v.is(Kind::kInt); }},
    {"float", [](const Value& v) { return v.is(Kind::kFloat); }},
    {"boolean", [](const Value& v) { return v.is(Kind::kBool); }},
    {"true", [](const Value& v) { return v.is(Kind::kBool) && v.boolean(); }},
    {"false", [](const Value& v) { return v.is(Kind::kBool) && !v.boolean(); }},
    {"callable", [](const Value& v) { return v.is(Kind::kFunction); }},
    {"lower", [](const Value& v) { return IsOfCase(v, Lower, Upper); }},
    {"upper", [](const Value& v) { return IsOfCase(v, Upper, Lower); }},
};

// The comparison that a test of two values is.
std::string_view ComparisonOf(std::string_view test) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"eq", "=="},      {"equalto", "=="}, {"==", "=="},
      {"ne", "!="},      {"!=", "!="},      {"lt", "<"},
      {"lessthan", "<"}, {"<", "<"},        {"le", "<="},
      {"<=", "<="},      {"gt", ">"},       {"greaterthan", ">"},
      {">", ">"},        {"ge", ">="},      {">=", ">="},
      {"in", "in"},      {"sameas", "=="},
  };
  for (const auto& [name, comparison] : kNames) {
    if (name == test) return comparison;
  }
  return "";
}

int64_t RestOf(const Value& value, const Value& by) {
  const int64_t number = IntOf(value, "what is divided");
  const int64_t divisor = IntOf(by, "the divisor");
  if (divisor == 0) FailWith("division by zero");
  return divisor == -1 ? 0 : number % divisor;
}

}  // namespace

bool Renderer::ApplyTest(const std::string& name, const Value& value,
                         const Arguments& arguments) {
  const Values& given = arguments.values;
  SpendFor(value);
  const auto require = [&](size_t count) {
    if (given.size() != count || !arguments.named.empty()) {
      FailWith(fmt::format("test '{}' takes {} arguments, got {}", name, count,
                           given.size() + arguments.named.size()));
    }
  };
  for (const KindTestRow& row : kKindTests) {
    if (row.name != name) continue;
    require(0);
    return row.holds(value);
  }
  if (name == "even" || name == "odd") {
    require(0);
    return (RestOf(value, Value::Int(2)) == 0) == (name == "even");
  }
  if (name == "divisibleby") {
    require(1);
    return RestOf(value, given[0]) == 0;
  }
  const std::string comparison(ComparisonOf(name));
  if (comparison.empty()) FailWith(fmt::format("there is no test '{}'", name));
  require(1);
  if (name == "sameas" && value.kind() != given[0].kind()) return false;
  return Compare(comparison, value, given[0]);
}

}  // namespace tl::jinja
