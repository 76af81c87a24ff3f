// Names in a model's files that say where another of its files is. A model that
// was downloaded may name what it likes: only what lies in its own folder is read.
#pragma once

#include <string>

namespace tl {

// `name` below `folder`, following links. Fails when it is not a plain relative
// path, or leads out of `folder`; `where` begins the message.
std::string PathWithin(const std::string& folder, const std::string& name,
                       const std::string& where);

// Whether what `file` leads to lies below `folder`, or among the blobs of the same
// model in Hugging Face's cache.
bool LiesWithin(const std::string& folder, const std::string& file);

// The blobs of the model whose folder in Hugging Face's cache this is, or empty.
std::string BlobsOfHubCache(const std::string& folder);

}  // namespace tl
