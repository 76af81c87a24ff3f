// What a file is that is not a model we read, by its first bytes, so that the
// message can name it. Formats that are read recognise themselves: formats.def.
#pragma once

#include <string>

#include "base/file.h"

namespace tl {

// "is an HTML page, …", or "" for a file that nothing is known about.
std::string DescribeForeignFile(const MappedFile& file);

// Whether the file is the JSON index of a model in several files.
bool IsShardIndex(const MappedFile& file);

}  // namespace tl
