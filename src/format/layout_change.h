// The tensors of a language model in the other layout of the two that
// format/hf_names.h knows: each with its new name, the stored tensors that it
// is made of, and what is to be done to their rows. Nothing is read but
// headers; what has no place there is refused by name. Used to save a model
// (format/save_plan.h) and to load one (format/model_layout.h).
#pragma once

#include <string>
#include <vector>

#include "format/hf_names.h"
#include "format/model.h"
#include "format/output.h"

namespace tl {

struct PlacedTensor {
  std::string name;
  std::vector<int64_t> shape;
  // One; in GGUF, where all experts share a tensor, one for each of them. A
  // tensor may be a piece of one of the model's.
  std::vector<TensorEntry> sources;
  RowChange change;
};

// Metadata know of a GGUF model what config.json knows of one in Hugging Face's
// layout. Fails where q and k have rows in another order, and their number of
// heads is not said or not the same in each layer.
std::vector<PlacedTensor> PlaceInGguf(const Model& model, const Family& family);
std::vector<PlacedTensor> PlaceInHuggingFace(const Model& model,
                                             const Family& family);

// The number of heads, where the family's q and k have rows in another order in
// the other layout; fails where the model does not say it.
HeadCounts HeadCountsOf(const Model& model, const Family& family);
// Fails, naming the tensor, where its rows cannot be changed so.
void CheckChange(const TensorEntry& entry, const RowChange& change);

// Whether the model has the names of a family of Hugging Face, by its
// embedding.
bool HasHuggingFaceNames(const Model& model);

// What a GGUF model says it is.
Architecture ArchitectureOf(const Model& model);

}  // namespace tl
