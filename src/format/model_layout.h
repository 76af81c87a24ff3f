// A language model in the other one of two layouts: a GGUF model as Hugging
// Face's transformers would have it (its names, rows of q and k in halves, norms
// without the one that GGUF adds), or theirs as GGUF has it. Which families that
// can be done for, and how, are the rows of format/hf_names.cc. Only names are
// changed at once; a tensor whose numbers change is made when it is asked for.
#pragma once

#include <string>
#include <unordered_map>

#include "format/model.h"
#include "format/output.h"

namespace tl {

struct ModelLayout {
  Model model;
  // What is still to be done to these tensors of it, by name: Changed().
  std::unordered_map<std::string, RowChange> changes;
};

// Fails, naming it, for an architecture or a tensor that is not known. A model
// that is no GGUF model stays as it is: it has that layout already.
ModelLayout InHfLayout(Model model);

// The other way around, with the metadata of a GGUF model; a GGUF model stays
// as it is. Fails as well for a model whose experts are tensors of their own,
// which GGUF joins.
ModelLayout InGgufLayout(Model model);

// The tensor after the change, in memory, for an entry that has the name and
// the shape of the result already: rows are moved as they are stored, so that
// packed ones stay packed; a number is added in float32, and packed ones are
// float32 when they have been transposed.
TensorEntry Changed(const TensorEntry& entry, const RowChange& change);

}  // namespace tl
