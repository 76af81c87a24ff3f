// Texts as Python's strings see them: what filters and methods of a chat
// template do to one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/template_value.h"

namespace tl::jinja {

// In linear time, whatever the texts are.
size_t FindText(std::string_view text, std::string_view part, size_t from);
bool IsLetter(char32_t c);

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string Capitalised(std::string_view text);
std::string TitleCased(std::string_view text, bool after_blanks_only);
std::string Replaced(std::string_view text, std::string_view from,
                     std::string_view to, int64_t times, Budget& budget);
std::string_view Stripped(std::string_view text, const Value& characters,
                          bool left, bool right);
std::vector<std::string_view> SplitLines(std::string_view text);

}  // namespace tl::jinja
