// Base64, in which tokenizer.json keeps its charsmap.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tl {

// Nothing for a text that is none, or does not end at a whole group.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace tl
