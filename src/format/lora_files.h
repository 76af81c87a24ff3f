// The two kinds of file that LoRA adapters come in, each to the changes that
// format/lora_adapter.h describes; used there only, which checks the shapes.
#pragma once

#include <map>
#include <string>

#include "format/lora_adapter.h"
#include "format/peft_config.h"

namespace tl {

// By the name of the model's tensor.
using AdapterChanges = std::map<std::string, AdapterChange>;

AdapterChanges PeftChanges(const Model& adapter, const PeftConfig& config,
                           const Model& model, double scale);
AdapterChanges GgufChanges(const Model& adapter, const Model& model,
                           double scale);

// Whether the model has the names of GGUF, loaded from it or not.
bool HasGgufNames(const Model& model);

}  // namespace tl
