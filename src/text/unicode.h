// Properties and mappings of characters, from utf8proc's tables, in the form
// that tokenizers ask for them. Texts are valid UTF-8 (utf8.h).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tl {

// White_Space of the Unicode standard.
bool IsSpace(char32_t c);
// General categories.
bool IsPunctuation(char32_t c);     // P*
bool IsMark(char32_t c);            // M*
bool IsNonspacingMark(char32_t c);  // Mn
bool IsNumber(char32_t c);          // N*
bool IsOther(char32_t c);           // Cc, Cf, Co
// Letters, marks, decimal digits and what joins words.
bool IsWordCharacter(char32_t c);
// Ideographs, as BERT delimits them.
bool IsIdeograph(char32_t c);

enum class NormalForm { kNFC, kNFD, kNFKC, kNFKD };

std::string Normalize(std::string_view text, NormalForm form);

// Character by character, without regard to what stands around.
std::string Lowercase(std::string_view text);

// Bytes of what a reader takes for the first character: an extended grapheme
// cluster.
size_t GraphemeSize(std::string_view text);

}  // namespace tl
