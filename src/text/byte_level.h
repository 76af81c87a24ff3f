// Bytes as characters, GPT-2's way: printable ones of Latin-1 stand for
// themselves, the others for U+0100 and on. So a vocabulary of texts can hold
// any bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tl {

// Each byte of `bytes` as its character.
void AppendByteLevel(std::string& text, std::string_view bytes);

// The way back; nothing if a character stands for no byte.
std::optional<std::string> BytesOfByteLevel(std::string_view text);

}  // namespace tl
