// Values as text: as Python prints them, and as JSON. template_value.h says it.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/template_value.h"
#include "text/utf8.h"

namespace tl::jinja {
namespace {

std::string FloatText(double x, std::string_view infinity,
                      std::string_view nan) {
  if (std::isnan(x)) return std::string(nan);
  if (std::isinf(x)) return (x < 0 ? "-" : "") + std::string(infinity);
  std::string text = fmt::format("{}", x);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

void AppendQuoted(std::string& out, std::string_view text) {
  const bool single = text.find('\'') == std::string_view::npos;
  const char quote =
      single || text.find('"') != std::string_view::npos ? '\'' : '"';
  out += quote;
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    } else {
      out += c;
    }
  }
  out += quote;
}

void AppendItems(std::string& out, const Values& items, Budget& budget) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ", ";
    AppendRepr(out, items[i], budget);
  }
}

void AppendMap(std::string& out, const MapObject& map, Budget& budget) {
  out += '{';
  for (size_t i = 0; i < map.entries.size(); ++i) {
    if (i > 0) out += ", ";
    AppendRepr(out, map.entries[i].first, budget);
    out += ": ";
    AppendRepr(out, map.entries[i].second, budget);
  }
  out += '}';
}

void AppendPlain(std::string& out, const Value& value, Budget& budget) {
  switch (value.kind()) {
    case Kind::kUndefined:
      break;
    case Kind::kNone:
      out += "None";
      break;
    case Kind::kBool:
      out += value.boolean() ? "True" : "False";
      break;
    case Kind::kInt:
      out += std::to_string(value.integer());
      break;
    case Kind::kFloat:
      out += FloatText(value.number(), "inf", "nan");
      break;
    case Kind::kString:
      out += value.text();
      break;
    case Kind::kList:
      out += '[';
      AppendItems(out, value.items(), budget);
      out += ']';
      break;
    case Kind::kTuple:
      out += '(';
      AppendItems(out, value.items(), budget);
      out += value.items().size() == 1 ? ",)" : ")";
      break;
    case Kind::kMap:
      AppendMap(out, value.map(), budget);
      break;
    case Kind::kNamespace:
      out += "<Namespace>";
      break;
    case Kind::kFunction:
      out += "<" + value.function().name + ">";
      break;
  }
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Budget& budget)
      : style_(style), budget_(budget) {}

  void Append(const Value& value, int depth) {
    const size_t before = out.size();
    switch (value.kind()) {
      case Kind::kNone:
        out += "null";
        break;
      case Kind::kBool:
        out += value.boolean() ? "true" : "false";
        break;
      case Kind::kInt:
        out += std::to_string(value.integer());
        break;
      case Kind::kFloat:
        out += FloatText(value.number(), "Infinity", "NaN");
        break;
      case Kind::kString:
        AppendText(value.text());
        break;
      case Kind::kList:
      case Kind::kTuple:
        AppendList(value.items(), depth);
        return;
      case Kind::kMap:
        AppendEntries(value.map(), depth);
        return;
      case Kind::kUndefined:
        FailWith(value.why());
      default:
        FailWith(fmt::format("a {} cannot be JSON", TypeName(value)));
    }
    budget_.Spend(out.size() - before + 1);
  }

  std::string out;

 private:
  void AppendText(std::string_view text) {
    out += '"';
    while (!text.empty()) {
      const Utf8Step step = DecodeUtf8(text);
      if (step.code_point < 0x80) {
        AppendAscii(text[0]);
      } else if (!style_.ascii) {
        AppendUtf8(out, step.code_point);
      } else if (step.code_point < 0x10000) {
        out += fmt::format("\\u{:04x}", uint32_t{step.code_point});
      } else {
        const uint32_t rest = step.code_point - 0x10000;
        out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10),
                           0xDC00 + (rest & 0x3FF));
      }
      text.remove_prefix(step.size);
    }
    out += '"';
  }

  void AppendAscii(char c) {
    static constexpr std::string_view kEscaped = "\"\\\n\r\t\f\b";
    static constexpr std::string_view kLetters = "\"\\nrtfb";
    if (const size_t at = kEscaped.find(c); at != std::string_view::npos) {
      out += '\\';
      out += kLetters[at];
    } else if (static_cast<uint8_t>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<uint8_t>(c));
    } else {
      out += c;
    }
  }

  void NewLine(int depth) {
    if (style_.indent < 0) return;
    budget_.Spend(static_cast<size_t>(style_.indent) * depth + 1);
    out += '\n';
    out.append(static_cast<size_t>(style_.indent) * depth, ' ');
  }

  void Between(bool first) {
    budget_.Spend(2);
    if (!first) out += style_.item_separator;
  }

  void AppendList(const Values& items, int depth) {
    out += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      Between(i == 0);
      NewLine(depth + 1);
      Append(items[i], depth + 1);
    }
    if (!items.empty()) NewLine(depth);
    out += ']';
  }

  void AppendEntries(const MapObject& map, int depth) {
    std::vector<MapObject::Entry> sorted;
    if (style_.sort_keys) {
      sorted = map.entries;
      std::stable_sort(sorted.begin(), sorted.end(),
                       [&](const auto& a, const auto& b) {
                         return Order(a.first, b.first, budget_) < 0;
                       });
    }
    const auto& entries = style_.sort_keys ? sorted : map.entries;
    out += '{';
    for (size_t i = 0; i < entries.size(); ++i) {
      Between(i == 0);
      NewLine(depth + 1);
      AppendKey(entries[i].first);
      out += style_.key_separator;
      Append(entries[i].second, depth + 1);
    }
    if (!entries.empty()) NewLine(depth);
    out += '}';
  }

  void AppendKey(const Value& key) {
    if (key.is_string()) {
      Append(key, 0);
    } else {
      out += '"';
      Append(key, 0);
      out += '"';
    }
  }

  const JsonStyle& style_;
  Budget& budget_;
};

Value FromJson(simdjson::dom::element json) {
  using Type = simdjson::dom::element_type;
  switch (json.type()) {
    case Type::OBJECT: {
      MapObject map;
      for (const auto& [key, value] : simdjson::dom::object(json)) {
        map.Set(key, FromJson(value));
      }
      return Value::Map(std::move(map));
    }
    case Type::ARRAY: {
      Values items;
      for (const auto item : simdjson::dom::array(json)) {
        items.push_back(FromJson(item));
      }
      return Value::List(std::move(items));
    }
    case Type::STRING:
      return Value::String(std::string(std::string_view(json)));
    case Type::INT64:
      return Value::Int(int64_t(json));
    case Type::UINT64:
      return Value::Float(static_cast<double>(uint64_t(json)));
    case Type::DOUBLE:
      return Value::Float(double(json));
    case Type::BOOL:
      return Value::Bool(bool(json));
    default:
      return Value::None();
  }
}

}  // namespace

std::string TextOf(const Value& value, Budget& budget) {
  std::string out;
  AppendPlain(out, value, budget);
  budget.Spend(out.size());
  return out;
}

void AppendRepr(std::string& out, const Value& value, Budget& budget) {
  const size_t before = out.size();
  if (value.is_string()) {
    AppendQuoted(out, value.text());
    budget.Spend(out.size() - before);
  } else if (!value.is_defined()) {
    out += "Undefined";
  } else {
    AppendPlain(out, value, budget);
  }
  budget.Spend(1);
}

std::string JsonOf(const Value& value, const JsonStyle& style, Budget& budget) {
  JsonWriter writer(style, budget);
  writer.Append(value, 0);
  return std::move(writer.out);
}

Value ParseJson(std::string_view text) {
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(text);
  simdjson::dom::element json;
  if (const auto error = parser.parse(padded).get(json)) {
    Fail(ErrorKind::kInput, "no JSON: {}", simdjson::error_message(error));
  }
  try {
    return FromJson(json);
  } catch (const Fault& fault) {
    Fail(ErrorKind::kInput, "JSON: {}", fault.text);
  }
}

}  // namespace tl::jinja
