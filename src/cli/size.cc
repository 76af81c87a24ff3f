#include "cli/size.h"

#include <cctype>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace tl {
namespace {

// 0 for what is no unit.
double FactorOf(std::string unit) {
  for (char& c : unit) {
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  if (unit.size() == 2 && unit[1] == 'B') unit.pop_back();
  if (unit.empty() || unit == "B") return 1;
  if (unit == "K") return 1e3;
  if (unit == "M") return 1e6;
  if (unit == "G") return 1e9;
  return unit == "T" ? 1e12 : 0;
}

}  // namespace

int64_t ParseSize(const std::string& option, const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  const double bytes =
      std::floor(number * FactorOf(std::string(parsed.ptr, end)));
  if (parsed.ec != std::errc() || !(bytes >= 1 && bytes < 0x1p62)) {
    Fail(ErrorKind::kUsage,
         "{}: '{}' is no size; write it as in 5GB or 300MB", option, text);
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace tl
