// The files that Hugging Face keeps beside a model's weights, from what a GGUF
// model says: those it was made from where it carries them
// (format/hf_metadata.h), else config.json as far as GGUF tells it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "format/hf_names.h"
#include "format/model.h"
#include "format/rope_factors.h"

namespace tl {

// By name: config.json, and what there is of tokenizer.json and
// tokenizer_config.json. Fails where positions are scaled in a way that
// config.json has no words for.
std::vector<std::pair<std::string, std::string>> MakeHuggingFaceFiles(
    const Model& model, const Family& family);

// What rope_freqs.weight of a GGUF model says, if that is the scaling of
// Llama 3. Nothing without such a tensor.
std::optional<Llama3Scaling> Llama3ScalingOf(const Model& model);

// As "rope_scaling" of config.json has it.
std::string ScalingJson(const Llama3Scaling& scaling);

}  // namespace tl
