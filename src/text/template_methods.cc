// Functions, and the methods of strings and maps. Methods that would change
// their object are not there, as in the sandbox that templates are run in.
#include <fmt/format.h>
#include <string.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>

#include "text/template_lexer.h"
#include "text/template_renderer.h"
#include "text/utf8.h"

namespace tl::jinja {
namespace {

constexpr std::string_view kMapMethods[] = {"items", "keys", "values", "get"};
constexpr std::string_view kStringMethods[] = {
    "strip",        "lstrip",     "rstrip", "split",      "rsplit",
    "splitlines",   "startswith", "upper",  "lower",      "title",
    "endswith",     "capitalize", "find",   "rfind",      "count",
    "replace",      "join",       "isdigit", "isalpha",   "isspace",
    "removeprefix", "removesuffix"};

bool IsOneOf(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool Given(const Value& value) {
  return value.is_defined() && !value.is(Kind::kNone);
}

// In linear time, whatever the texts are.
size_t FindText(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* found = memmem(text.data() + from, text.size() - from,
                             part.data(), part.size());
  return found ? static_cast<const char*>(found) - text.data()
               : std::string_view::npos;
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

bool IsLetter(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return true;
    default:
      return false;
  }
}

bool IsDigitCharacter(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) ==
         UTF8PROC_CATEGORY_ND;
}

// A string, or any of a tuple of strings, at one end.
bool HasAffix(const std::string& text, const Value& affix, bool at_begin) {
  if (affix.is_sequence()) {
    return std::any_of(
        affix.items().begin(), affix.items().end(),
        [&](const Value& one) { return HasAffix(text, one, at_begin); });
  }
  const std::string& part = StringOf(affix, "what a string begins or ends with");
  return at_begin ? text.starts_with(part) : text.ends_with(part);
}

std::string MapCharacters(std::string_view text, auto map) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = DecodeUtf8(text);
    if (step.valid) {
      AppendUtf8(result, map(step.code_point));
    } else {
      result += text.substr(0, step.size);
    }
    text.remove_prefix(step.size);
  }
  return result;
}

char32_t UpperOf(char32_t c) {
  return static_cast<char32_t>(
      utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}
char32_t LowerOf(char32_t c) {
  return static_cast<char32_t>(
      utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
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
  static constexpr std::string_view kKnown = "aAbBcdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%";
  std::string text;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      text += format[i];
      continue;
    }
    std::string one = "%";
    if (++i < format.size() && format[i] == '-') one += format[i++];
    if (i >= format.size() || kKnown.find(format[i]) == std::string_view::npos) {
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
    FailWith(fmt::format("{} is a {}; expected a string", what, TypeName(value)));
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

std::string Upper(std::string_view text) {
  // The one small letter of common texts that becomes two capitals.
  std::string result = MapCharacters(text, [](char32_t c) {
    return c == U'\u00df' ? c : UpperOf(c);
  });
  const std::string_view sharp = "\u00df";
  for (size_t at = 0; (at = result.find(sharp, at)) != std::string::npos;) {
    result.replace(at, sharp.size(), "SS");
  }
  return result;
}
std::string Lower(std::string_view text) { return MapCharacters(text, LowerOf); }

std::string Capitalised(std::string_view text) {
  bool first = true;
  return MapCharacters(text, [&](char32_t c) {
    return std::exchange(first, false) ? UpperOf(c) : LowerOf(c);
  });
}

// Each word with a capital. Words begin after whatever is no letter, or, for
// the filter of this name, after blanks, hyphens and opening brackets.
std::string TitleCased(std::string_view text, bool after_blanks_only) {
  bool first = true;
  return MapCharacters(text, [&](char32_t c) {
    const char32_t mapped = first ? UpperOf(c) : LowerOf(c);
    first = after_blanks_only
                ? IsBlank(c) || c == '-' || c == '(' || c == '{' || c == '[' ||
                      c == '<'
                : !IsLetter(c);
    return mapped;
  });
}

std::string Replaced(std::string_view text, std::string_view from,
                     std::string_view to, int64_t times, Budget& budget) {
  budget.Spend(text.size());
  std::string result;
  size_t begin = 0;
  if (from.empty()) {
    // Between all characters, as Python does.
    for (; times != 0; --times) {
      budget.Spend(to.size() + 1);
      result += to;
      if (begin >= text.size()) return result;
      const size_t size = DecodeUtf8(text.substr(begin)).size;
      result += text.substr(begin, size);
      begin += size;
    }
  }
  for (; times != 0; --times) {
    const size_t at = FindText(text, from, begin);
    if (at == std::string_view::npos) break;
    budget.Spend(to.size() + 1);
    result += text.substr(begin, at - begin);
    result += to;
    begin = at + from.size();
  }
  result += text.substr(begin);
  return result;
}

std::string_view Stripped(std::string_view text, const Value& characters,
                          bool left, bool right) {
  if (!Given(characters)) {
    if (left) text = StripLeft(text);
    return right ? StripRight(text) : text;
  }
  const std::string& set = StringOf(characters, "the characters to strip");
  const auto in_set = [&](std::string_view c) {
    return set.find(c) != std::string::npos;
  };
  while (left && !text.empty()) {
    const size_t size = DecodeUtf8(text).size;
    if (!in_set(text.substr(0, size))) break;
    text.remove_prefix(size);
  }
  while (right && !text.empty()) {
    size_t begin = text.size() - 1;
    while (begin > 0 && ContinuesUtf8(text[begin]) && text.size() - begin < 4) {
      --begin;
    }
    if (!in_set(text.substr(begin))) break;
    text.remove_suffix(text.size() - begin);
  }
  return text;
}

std::vector<std::string_view> SplitLines(std::string_view text) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    const char32_t c = step.code_point;
    const size_t end = at;
    at += step.size;
    if (!((c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 ||
          c == 0x2028 || c == 0x2029)) {
      continue;
    }
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, end - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
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
    return NewString(TimeText(StringOf(bound[0], "strftime_now: 'format'"), now_));
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
    for (std::string_view part : parts) items.push_back(NewString(std::string(part)));
    return NewList(std::move(items));
  };
  const auto part_of = [&](const Values& bound) -> const std::string& {
    return StringOf(bound[0], name);
  };
  if (name.ends_with("strip")) {
    const Values bound = arguments.Bind({"chars"});
    if (Given(bound[0])) {
      budget_.Spend(text.size() * StringOf(bound[0], name).size() / 16);
    }
    return NewString(std::string(
        Stripped(text, bound[0], name != "rstrip", name != "lstrip")));
  }
  if (name == "split" || name == "rsplit") {
    const Values bound = arguments.Bind({"sep", "maxsplit"});
    const int64_t times = bound[1].is_defined() ? IntOf(bound[1], name) : -1;
    if (!Given(bound[0])) return strings(SplitAtBlanks(text, times));
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
                                name == "startswith"));
  }
  if (name == "find" || name == "rfind" || name == "count" ||
      name.starts_with("remove")) {
    const Values bound = arguments.Bind({"part"}, 1);
    const std::string& part = part_of(bound);
    if (name == "find") return FoundAt(text, FindText(text, part, 0));
    if (name == "rfind" || name == "count") {
      int64_t count = 0;
      size_t last = part.empty() ? text.size() : std::string_view::npos;
      const size_t step = name == "count" ? std::max<size_t>(part.size(), 1) : 1;
      for (size_t at = 0;
           !part.empty() && (at = FindText(text, part, at)) != std::string::npos;
           at += step) {
        ++count;
        last = at;
        budget_.Spend(part.size());
      }
      if (part.empty()) count = CharactersBefore(text, text.size()) + 1;
      return name == "count" ? Value::Int(count) : FoundAt(text, last);
    }
    if (name == "removeprefix") {
      return NewString(text.starts_with(part) ? text.substr(part.size()) : text);
    }
    return NewString(text.ends_with(part)
                         ? text.substr(0, text.size() - part.size())
                         : text);
  }
  arguments.Bind({});
  if (name == "upper") return NewString(Upper(text));
  if (name == "lower") return NewString(Lower(text));
  if (name == "title") return NewString(TitleCased(text, false));
  if (name == "capitalize") return NewString(Capitalised(text));
  if (name == "splitlines") return strings(SplitLines(text));
  if (name == "isdigit") return Value::Bool(AllAre(text, IsDigitCharacter));
  if (name == "isalpha") return Value::Bool(AllAre(text, IsLetter));
  return Value::Bool(AllAre(text, IsBlank));  // isspace
}

}  // namespace tl::jinja
