// Which files are read when a model is: for who has to know before it is opened,
// as a sandbox that will let nothing else be read. A file that a reader looks for
// beside the model has its name here.
#pragma once

#include <string>
#include <vector>

namespace tl {

// The file or folder at `path` itself, what its index names, the other parts of a
// split one, and what lies beside it that belongs to a model. Links that lead out
// of its folder are not followed. What is not there may be named too.
std::vector<std::string> FilesOfModel(const std::string& path);

}  // namespace tl
