#include "base/large_numbers.h"

namespace tl {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string WithLargeNumbersAsReals(std::string_view text) {
  constexpr size_t kDigits = 18;
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string || !IsDigit(c)) {
      const bool escape = in_string && c == '\\' && i + 1 < text.size();
      if (c == '"') in_string = !in_string;
      out.append(text.substr(i, escape ? 2 : 1));
      i += escape ? 2 : 1;
      continue;
    }
    const size_t begin = i;
    while (i < text.size() && IsDigit(text[i])) ++i;
    out.append(text.substr(begin, i - begin));
    // What follows a point, or comes before one, is a real already.
    const bool real = (begin > 0 && text[begin - 1] == '.') ||
                      (i < text.size() &&
                       (text[i] == '.' || text[i] == 'e' || text[i] == 'E'));
    if (i - begin > kDigits && !real) out += ".0";
  }
  return out;
}

}  // namespace tl
