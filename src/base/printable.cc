#include "base/printable.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace tl {
namespace {

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= 0x20 && c < 0x7F; });
}

bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

bool IsLayout(uint32_t code) { return code == '\n' || code == '\t'; }

std::string Escaped(const Utf8Character& character) {
  if (character.code == '\n') return "\\n";
  if (character.code == '\t') return "\\t";
  return character.code < 0x100 ? fmt::format("\\x{:02x}", character.code)
                                : fmt::format("\\u{{{:x}}}", character.code);
}

template <class Escapes>
std::string Shown(std::string_view text, const Escapes& escapes) {
  if (IsPlain(text)) return std::string(text);
  std::string shown;
  while (!text.empty()) {
    const Utf8Character character = FirstCharacter(text);
    const bool ends_line = text.starts_with("\r\n") && !escapes('\n');
    if (!character.valid || (escapes(character.code) && !ends_line)) {
      shown += Escaped(character);
    } else {
      shown += text.substr(0, character.bytes);
    }
    text.remove_prefix(character.bytes);
  }
  return shown;
}

}  // namespace

bool MovesOrHides(uint32_t code) {
  return IsControl(code) || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF;
}

std::string Printable(std::string_view name) {
  return Shown(name, MovesOrHides);
}

std::string PrintableLines(std::string_view text) {
  return Shown(text, [](uint32_t code) {
    return MovesOrHides(code) && !IsLayout(code);
  });
}

std::string PrintableText(std::string_view text) {
  return Shown(text,
               [](uint32_t code) { return IsControl(code) && !IsLayout(code); });
}

}  // namespace tl
