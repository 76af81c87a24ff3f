// Functions, and the methods of strings and maps. Methods that would change
// their object are not there, as in the sandbox that templates are run in.
#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>

#include "text/template_lexer.h"
#include "text/template_renderer.h"
#include "text/template_strings.h"
#include "text/utf8.h"

namespace tl::jinja {
namespace {

constexpr std::string_view kMapMethods[] = {"items", "keys", "values", "get"};
constexpr std::string_view kStringMethods[] = {
    "strip",        "lstrip",      "rstrip",  "split",   "rsplit",
    "splitlines",   "startswith",  "upper",   "lower",   "title",
    "endswith",     "capitalize",  "find",    "rfind",   "count",
    "replace",      "join",        "isdigit", "isalpha", "isspace",
    "removeprefix", "removesuffix"};

bool IsOneOf(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

int64_t CharactersBefore(std::string_view text, size_t at) {
  return static_cast<int64_t>(
      std::count_if(text.begin(), text.begin() + at,
                    [](char c) { return !ContinuesUtf8(c); }));
}

Value FoundAt(std::string_view text, size_t at) {
  return Value::Int(at == std::string_view::npos ? -1
                                                 : CharactersBefore(text, at));
}

// At runs of blanks, at most `times` times.
std::vector<std::string_view> SplitAtBlanks(std::string_view text,
                                            int64_t times) {
  std::vector<std::string_view> parts;
  text = StripLeft(text);
  while (!text.empty()) {
    if (times-- == 0) {
      parts.push_back(text);
      break;
    }
    size_t end = 0;
    while (end < text.size()) {
      const Utf8Step step = DecodeUtf8(text.substr(end));
      if (step.valid && IsBlank(step.code_point)) break;
      end += step.size;
    }
    parts.push_back(text.substr(0, end));
    text = StripLeft(text.substr(end));
  }
  return parts;
}

std::vector<std::string_view> SplitAt(std::string_view text,
                                      std::string_view separator,
                                      int64_t times) {
  if (separator.empty()) FailWith("split at an empty string");
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (; times != 0; --times) {
    const size_t at = FindText(text, separator, begin);
    if (at == std::string_view::npos) break;
    parts.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

// The same from the right.
std::vector<std::string_view> SplitFromRight(std::string_view text,
                                             std::string_view separator,
                                             int64_t times) {
  std::vector<std::string_view> parts = SplitAt(text, separator, -1);
  if (times < 0 || parts.size() <= static_cast<size_t>(times) + 1) return parts;
  const size_t joined = parts.size() - static_cast<size_t>(times);
  const char* end = parts[joined - 1].data() + parts[joined - 1].size();
  parts[joined - 1] = text.substr(0, end - text.data());
  parts.erase(parts.begin(), parts.begin() + (joined - 1));
  return parts;
}

// Whether all characters are so, and there are some.
bool AllAre(std::string_view text, bool (*is)(char32_t)) {
  if (text.empty()) return false;
  while (!text.empty()) {
    const Utf8Step step = DecodeUtf8(text);
    if (!is(step.code_point)) return false;
    text.remove_prefix(step.size);
  }
  return true;
}

bool IsDigitCharacter(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) ==
         UTF8PROC_CATEGORY_ND;
}

// A string, or any of a tuple of strings, at one end.
bool HasAffix(const std::string& text, const Value& affix, bool at_begin,
              Budget& budget) {
  budget.Spend(1);
  if (affix.is_sequence()) {
    return std::any_of(affix.items().begin(), affix.items().end(),
                       [&](const Value& one) {
                         return HasAffix(text, one, at_begin, budget);
                       });
  }
  const std::string& part =
      StringOf(affix, "what a string begins or ends with");
  return at_begin ? text.starts_with(part) : text.ends_with(part);
}

// rfind and count: both look at all places.
Value LastOrCount(const std::string& text, bool count_them,
                  const std::string& part, Budget& budget) {
  if (part.empty()) {
    const int64_t length = CharactersBefore(text, text.size());
    return Value::Int(count_them ? length + 1 : length);
  }
  int64_t count = 0;
  size_t last = std::string_view::npos;
  const size_t step = count_them ? part.size() : 1;
  for (size_t at = 0; (at = FindText(text, part, at)) != std::string_view::npos;
       at += step) {
    budget.Spend(part.size());
    ++count;
    last = at;
  }
  return count_them ? Value::Int(count) : FoundAt(text, last);
}

// The methods that look for a part.
Value Searched(const std::string& text, const std::string& name,
               const std::string& part, Renderer& renderer) {
  if (name == "find") return FoundAt(text, FindText(text, part, 0));
  if (name == "rfind" || name == "count") {
    return LastOrCount(text, name == "count", part, renderer.budget());
  }
  if (name == "removeprefix") {
    return renderer.NewString(text.starts_with(part) ? text.substr(part.size())
                                                     : text);
  }
  return renderer.NewString(
      text.ends_with(part) ? text.substr(0, text.size() - part.size()) : text);
}

// The methods without arguments.
Value OfWhole(const std::string& text, const std::string& name,
              Renderer& renderer) {
  if (name == "upper") return renderer.NewString(Upper(text));
  if (name == "lower") return renderer.NewString(Lower(text));
  if (name == "title") return renderer.NewString(TitleCased(text, false));
  if (name == "capitalize") return renderer.NewString(Capitalised(text));
  if (name == "isdigit") return Value::Bool(AllAre(text, IsDigitCharacter));
  if (name == "isalpha") return Value::Bool(AllAre(text, IsLetter));
  return Value::Bool(AllAre(text, IsBlank));  // isspace
}

Value RangeOf(const Arguments& arguments, Renderer& renderer) {
  const Values bound = arguments.Bind({"start", "stop", "step"}, 1);
  const bool one = !bound[1].is_defined();
  const int64_t start = one ? 0 : IntOf(bound[0], "range: 'start'");
  const int64_t stop = IntOf(bound[one ? 0 : 1], "range: 'stop'");
  const int64_t step =
      bound[2].is_defined() ? IntOf(bound[2], "range: 'step'") : 1;
  if (step == 0) FailWith("range: 'step' is 0");
  Values items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    renderer.budget().Spend(8);
    items.push_back(Value::Int(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value::List(std::move(items));
}

MapObject MapOf(const Arguments& arguments, Budget& budget) {
  MapObject map;
  for (const Value& value : arguments.values) {
    if (value.is(Kind::kMap)) {
      for (const auto& [key, item] : value.map().entries) map.Set(key, item);
      continue;
    }
    for (const Value& pair : ItemsOf(value, budget)) {
      const Values parts = ItemsOf(pair, budget);
      if (parts.size() != 2) {
        FailWith(fmt::format("{}: {} values where a key and a value belong",
                             arguments.callee, parts.size()));
      }
      map.Set(parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) map.Set(name, value);
  budget.Spend(8 * map.entries.size() + 1);
  return map;
}

// What strftime knows everywhere; other letters and widths are refused.
std::string TimeText(const std::string& format, const std::tm& now) {
  static constexpr std::string_view kKnown =
      "aAbBcdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%";
  std::string text;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      text += format[i];
      continue;
    }
    std::string one = "%";
    if (++i < format.size() && format[i] == '-') one += format[i++];
    if (i >= format.size() ||
        kKnown.find(format[i]) == std::string_view::npos) {
      FailWith(fmt::format("strftime_now: unknown conversion in '{}'", format));
    }
    one += format[i];
    std::array<char, 128> buffer;
    text.append(buffer.data(),
                std::strftime(buffer.data(), buffer.size(), one.c_str(), &now));
  }
  return text;
}

}  // namespace

bool HasMethod(const Value& value, std::string_view name) {
  if (value.is(Kind::kMap)) return IsOneOf(kMapMethods, name);
  return value.is_string() && IsOneOf(kStringMethods, name);
}

const std::string& StringOf(const Value& value, std::string_view what) {
  if (!value.is_defined()) FailWith(value.why());
  if (!value.is_string()) {
    FailWith(
        fmt::format("{} is a {}; expected a string", what, TypeName(value)));
  }
  return value.text();
}

int64_t IntOf(const Value& value, std::string_view what) {
  if (!value.is_defined()) FailWith(value.why());
  if (!value.is_integer()) {
    FailWith(fmt::format("{} is a {}; expected an int", what, TypeName(value)));
  }
  return value.integer();
}

Value Renderer::NewNamespace(const Arguments& arguments) {
  auto attributes = std::make_shared<MapObject>(MapOf(arguments, budget_));
  budget_.Spend(16);
  namespaces_.push_back(attributes);
  return Value::Namespace(std::move(attributes));
}

Value Renderer::Call(const Value& callee, Arguments& arguments) {
  if (!callee.is_defined()) FailWith(callee.why());
  if (!callee.is(Kind::kFunction)) {
    FailWith(fmt::format("a {} cannot be called", TypeName(callee)));
  }
  const FunctionObject& function = callee.function();
  arguments.callee = function.name;
  if (function.macro) return CallMacro(*function.macro, arguments);
  if (function.self.is_defined()) {
    return CallMethod(function.self, function.name, arguments);
  }
  if (function.name == "range") return RangeOf(arguments, *this);
  if (function.name == "namespace") return NewNamespace(arguments);
  if (function.name == "dict") return Value::Map(MapOf(arguments, budget_));
  if (function.name == "strftime_now") {
    const Values bound = arguments.Bind({"format"}, 1);
    return NewString(
        TimeText(StringOf(bound[0], "strftime_now: 'format'"), now_));
  }
  const Values bound = arguments.Bind({"message"}, 1);
  FailWith(TextOf(bound[0], budget_));  // raise_exception
}

Value Renderer::CallMethod(const Value& self, const std::string& name,
                           const Arguments& arguments) {
  if (self.is_string()) return CallStringMethod(self.text(), name, arguments);
  const MapObject& map = self.map();
  if (name == "get") {
    const Values bound = arguments.Bind({"key", "default"}, 1);
    SpendFor(bound[0]);
    const Value* found = map.Find(bound[0]);
    return found ? *found : bound[1].is_defined() ? bound[1] : Value::None();
  }
  arguments.Bind({});
  Values items;
  for (const auto& [key, value] : map.entries) {
    items.push_back(name == "keys"     ? key
                    : name == "values" ? value
                                       : Value::Tuple({key, value}));
  }
  budget_.Spend(8 * items.size());
  return NewList(std::move(items));
}

Value Renderer::CallStringMethod(const std::string& text,
                                 const std::string& name,
                                 const Arguments& arguments) {
  budget_.Spend(text.size());
  const auto strings = [this](const std::vector<std::string_view>& parts) {
    Values items;
    for (std::string_view part : parts)
      items.push_back(NewString(std::string(part)));
    return NewList(std::move(items));
  };
  const auto part_of = [&](const Values& bound) -> const std::string& {
    return StringOf(bound[0], name);
  };
  if (name.ends_with("strip")) {
    const Values bound = arguments.Bind({"chars"});
    if (bound[0].is_given()) {
      budget_.Spend(text.size() * StringOf(bound[0], name).size() / 16);
    }
    return NewString(std::string(
        Stripped(text, bound[0], name != "rstrip", name != "lstrip")));
  }
  if (name == "split" || name == "rsplit") {
    const Values bound = arguments.Bind({"sep", "maxsplit"});
    const int64_t times = bound[1].is_defined() ? IntOf(bound[1], name) : -1;
    if (!bound[0].is_given()) {
      if (name == "rsplit" && times >= 0) {
        FailWith("rsplit at blanks a few times only is not supported");
      }
      return strings(SplitAtBlanks(text, times));
    }
    const std::string& at = part_of(bound);
    return strings(name == "split" ? SplitAt(text, at, times)
                                   : SplitFromRight(text, at, times));
  }
  if (name == "replace") {
    const Values bound = arguments.Bind({"old", "new", "count"}, 2);
    const int64_t times = bound[2].is_defined() ? IntOf(bound[2], name) : -1;
    return NewString(Replaced(text, part_of(bound), StringOf(bound[1], name),
                              times, budget_));
  }
  if (name == "join") {
    std::string joined;
    const Values items = ItemsOf(arguments.Bind({"parts"}, 1)[0], budget_);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) joined += text;
      budget_.Spend(text.size());
      joined += StringOf(items[i], "an item of 'join'");
    }
    return NewString(std::move(joined));
  }
  if (name == "startswith" || name == "endswith") {
    return Value::Bool(HasAffix(text, arguments.Bind({"part"}, 1)[0],
                                name == "startswith", budget_));
  }
  if (name.ends_with("find") || name == "count" || name.starts_with("remove")) {
    return Searched(text, name, part_of(arguments.Bind({"part"}, 1)), *this);
  }
  arguments.Bind({});
  if (name == "splitlines") return strings(SplitLines(text));
  return OfWhole(text, name, *this);
}

}  // namespace tl::jinja
