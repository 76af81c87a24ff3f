#include "text/byte_level.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace tl {
namespace {

constexpr char32_t kFirstMoved = 0x100;
constexpr int kMoved = 68;  // bytes that do not stand for themselves

constexpr bool StandsForItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

struct Tables {
  std::array<char32_t, 256> characters{};
  std::array<uint8_t, kFirstMoved + kMoved> bytes{};
  std::array<bool, kFirstMoved + kMoved> known{};
};

constexpr Tables MakeTables() {
  Tables tables;
  char32_t next = kFirstMoved;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t character = StandsForItself(byte) ? byte : next++;
    tables.characters[byte] = character;
    tables.bytes[character] = byte;
    tables.known[character] = true;
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

void AppendByteLevel(std::string& text, std::string_view bytes) {
  for (char byte : bytes) {
    AppendUtf8(text, kTables.characters[static_cast<uint8_t>(byte)]);
  }
}

std::optional<std::string> BytesOfByteLevel(std::string_view text) {
  std::string bytes;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(at));
    const char32_t c = step.code_point;
    if (!step.valid || c >= kTables.bytes.size() || !kTables.known[c]) {
      return std::nullopt;
    }
    bytes += static_cast<char>(kTables.bytes[c]);
    at += step.size;
  }
  return bytes;
}

}  // namespace tl
