// Sizes as words of the command line.
#pragma once

#include <cstdint>
#include <string>

namespace tl {

// "5GB", "5G", "300MB", "1e6": decimal. Fails (kUsage) for what is no size.
int64_t ParseSize(const std::string& option, const std::string& text);

}  // namespace tl
