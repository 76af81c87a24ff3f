// What an architecture of GGUF fixes and config.json of transformers may say
// otherwise: activations above all. Such a model would load and compute wrong
// numbers.
#pragma once

#include <string>

#include "format/hf_names.h"

namespace tl {

// Fails, with the model's label, for a config.json that says otherwise.
void CheckFacts(const std::string& label, const std::string& config_json,
                const Family& family);

}  // namespace tl
