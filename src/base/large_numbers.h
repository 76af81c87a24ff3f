// JSON whose whole numbers do not fit 64 bits, which simdjson takes for a fault:
// transformers writes 1e30 as 1000000000000000019884624838656.
#pragma once

#include <string>
#include <string_view>

namespace tl {

// The text with ".0" behind whole numbers of more than 18 digits, outside of
// strings.
std::string WithLargeNumbersAsReals(std::string_view text);

}  // namespace tl
