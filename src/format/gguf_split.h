// GGUF models in several files: NAME-00001-of-00003.gguf and so on. The first
// has the metadata of the model; each has its number. Cutting a model into them
// is format/save.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "format/model.h"

namespace tl {

// One file by itself, whatever it says about others.
Model LoadGgufFile(std::shared_ptr<const MappedFile> file);

// The whole model whose first part `first` is, or `first` itself where it says
// nothing of others. Fails when `first` is another part, when a part is missing
// or of another model, or when two have a tensor of the same name.
Model WithGgufParts(Model first);

struct GgufPartName {
  std::string base;    // the path up to "-00001-of-…"
  int64_t number = 0;  // from 1
  int64_t count = 0;

  std::string path() const;
};

// What the name says, if it is that of a part.
std::optional<GgufPartName> FindGgufPartName(std::string_view path);

// What a model that is no part of another says nothing of.
void RemoveSplitKeys(Metadata& metadata);

struct GgufPart {
  size_t number = 0;   // from 0
  size_t count = 0;    // of parts
  size_t tensors = 0;  // of all of them
};

// What this part of the model says of itself. Fails for more parts than the
// format can count.
Metadata MetadataOfPart(const Metadata& metadata, const GgufPart& part);

}  // namespace tl
