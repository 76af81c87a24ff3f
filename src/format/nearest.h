// The names most like one that was not found, for messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tl {

// At most `count` of `names`, nearest first; none that differ in more than a
// third of the letters.
std::vector<std::string_view> NearestNames(
    std::string_view wanted, const std::vector<std::string_view>& names,
    size_t count);

}  // namespace tl
