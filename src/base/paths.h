// Where paths lead, links followed.
#pragma once

#include <filesystem>
#include <string>

namespace tl {

// The one absolute path of what `path` leads to, as far as it exists; empty where
// that cannot be told (links in a circle, a NUL in the name).
std::string RealPath(const std::string& path);

// Whether `file` is `folder` or below it, by their names alone.
bool IsBelow(const std::filesystem::path& folder,
             const std::filesystem::path& file);

}  // namespace tl
