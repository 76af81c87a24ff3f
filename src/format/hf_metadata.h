// What GGUF wants to know of a language model, from the files that Hugging Face
// keeps beside its weights: config.json, tokenizer.json, tokenizer_config.json
// and chat_template.jinja. Both JSON files travel along as they are, so that
// the way back (format/hf_files.h) gives the same files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/hf_names.h"
#include "format/model.h"

namespace tl {

inline constexpr char kConfigKey[] = "huggingface.config.json";
inline constexpr char kTokenizerKey[] = "tokenizer.huggingface.json";
// Of a JSON file beside a model. The largest known are tokenizers of 20 MB.
inline constexpr int64_t kMaxFileBeside = 256 << 20;

// The 'model_type' of config.json; "" where that is not said.
std::string ModelTypeOf(const Model& model);

// The family of a model in Hugging Face's layout; fails for one that is not
// known here.
const Family& HuggingFaceFamily(const Model& model);

// general.*, {arch}.* and tokenizer.*, on top of what the model has already.
// Fails for a tokenizer, a way of scaling positions or an activation that GGUF
// could only hold wrongly.
Metadata MakeGgufMetadata(const Model& model, const Family& family);

// The factors by which Llama 3, LongRoPE and yarn without rounding slow each
// frequency of positions, which GGUF stores as tensors; none for other models.
struct RopeFactorTensor {
  std::string name;
  std::vector<float> factors;
};
std::vector<RopeFactorTensor> RopeFactorsOf(const Model& model);

}  // namespace tl
