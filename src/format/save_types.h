// Which type each tensor of a model gets in the file, and which are refused
// because they have no numbers that could be converted. The mix of types of a
// quantised file: format/file_type.h. Part of format/save_plan.h.
#pragma once

#include <optional>

#include "format/file_type.h"
#include "format/model.h"
#include "format/output.h"

namespace tl {

enum class FileFormat { kSafeTensors, kGguf };

struct TypeRules {
  FileFormat format = FileFormat::kSafeTensors;
  // Null: tensors keep the types they have, but for packed ones in SafeTensors,
  // which become F16, and small ones in GGUF.
  const FileType* type = nullptr;
  // Where GGUF prescribes the names, vectors are F32 in it.
  bool gguf_layout = false;
  MixFacts facts;  // where the type depends on them
};

// What a mix depends on of a model that gets these metadata.
MixFacts MixFactsOf(const Model& model, const Metadata& metadata);

// Sets the type of a tensor that has its name, shape and sources, and so its
// bytes. `model` is the one that the sources are of.
void ChooseType(const Model& model, const TypeRules& rules,
                OutputTensor& tensor);

}  // namespace tl
