// Models in several SafeTensors files: by an index
// (model.safetensors.index.json and the files that it names), or simply all
// files of a directory.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "format/model.h"

namespace tl {

// `path` is what the user called the model: the index or its directory.
Model LoadShardIndex(const std::string& path,
                     std::shared_ptr<const MappedFile> index);

// The plain names of the files that an index names.
std::set<std::string> ShardsOfIndex(const std::string& path);

// One model from several files, none of which may repeat a name.
Model LoadFilesTogether(const std::string& path,
                        const std::vector<std::string>& files);

}  // namespace tl
