#include "interp/format_value.h"

#include <fmt/format.h>

#include <cmath>

#include "base/utf8.h"
#include "interp/bytecode.h"
#include "interp/map.h"
#include "interp/signatures.h"

namespace tl {
namespace {

// Deeper lists than anybody reads show as `[...]`.
constexpr int kMaxShownNesting = 200;

class Writer {
 public:
  Writer(Tensors& tensors, int column) : tensors_(tensors), column_(column) {}

  void Write(const Value& value, int depth);
  std::string Take() { return std::move(text_); }

 private:
  void Items(const Value& list, int depth);
  void Entries(const Value& map, int depth);
  int Column() const;

  Tensors& tensors_;
  const int column_;
  std::string text_;
};

int Writer::Column() const {
  const size_t newline = text_.rfind('\n');
  if (newline == std::string::npos) {
    return column_ + static_cast<int>(CountCharacters(text_));
  }
  return static_cast<int>(
      CountCharacters(std::string_view(text_).substr(newline + 1)));
}

void Writer::Items(const Value& list, int depth) {
  text_ += '[';
  bool first = true;
  for (const Value& item : list.as_list()) {
    if (!first) text_ += ", ";
    first = false;
    Write(item, depth + 1);
  }
  text_ += ']';
}

void Writer::Entries(const Value& map, int depth) {
  text_ += '{';
  bool first = true;
  for (const MapEntry& entry : map.as_map().entries()) {
    if (!first) text_ += ", ";
    first = false;
    Write(entry.key, depth + 1);
    text_ += ": ";
    Write(entry.value, depth + 1);
  }
  text_ += '}';
}

void Writer::Write(const Value& value, int depth) {
  switch (value.tag()) {
    case Tag::kNone:
    case Tag::kUnset:
      text_ += "none";
      return;
    case Tag::kBool:
      text_ += value.as_bool() ? "true" : "false";
      return;
    case Tag::kInt:
      text_ += fmt::format("{}", value.as_int());
      return;
    case Tag::kFloat:
      text_ += FloatText(value.as_float());
      return;
    case Tag::kString:
      text_ += depth == 0 ? value.as_string() : Quoted(value.as_string());
      return;
    case Tag::kList:
      if (depth > kMaxShownNesting) {
        text_ += "[...]";
      } else {
        Items(value, depth);
      }
      return;
    case Tag::kMap:
      if (depth > kMaxShownNesting) {
        text_ += "{...}";
      } else {
        Entries(value, depth);
      }
      return;
    case Tag::kRange: {
      const RangeObject& range = value.as_range();
      text_ += fmt::format("{}..{}", range.begin,
                           range.begin + range.count * range.step);
      if (range.step != 1) text_ += fmt::format(" step {}", range.step);
      return;
    }
    case Tag::kBuiltin:
      text_ +=
          fmt::format("<function {}>",
                      NameOfBuiltin(static_cast<uint16_t>(value.as_builtin())));
      return;
    case Tag::kFunction: {
      const std::string& name = value.as_function().code->signature.name;
      text_ += name.empty() ? "<function>" : fmt::format("<function {}>", name);
      return;
    }
    case Tag::kCell:
      text_ += "<variable>";
      return;
    case Tag::kTensor:
      text_ += tensors_.Format(value, Column());
      return;
    case Tag::kHandle:
      text_ += value.as_handle().ToString();
      return;
  }
}

}  // namespace

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string ToText(Tensors& tensors, const Value& value, int column) {
  if (value.is_string()) return value.as_string();
  Writer writer(tensors, column);
  writer.Write(value, 0);
  return writer.Take();
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const Utf8Character character = FirstCharacter(text);
    const uint32_t code = character.code;
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    if (code == '"' || code == '\\') {
      quoted += '\\';
      quoted += static_cast<char>(code);
    } else if (code == '\n') {
      quoted += "\\n";
    } else if (code == '\t') {
      quoted += "\\t";
    } else if (code == '\r') {
      quoted += "\\r";
    } else if (control && character.valid) {
      quoted += fmt::format("\\u{{{:x}}}", code);
    } else {
      quoted += text.substr(0, character.bytes);
    }
    text.remove_prefix(character.bytes);
  }
  return quoted + '"';
}

}  // namespace tl
