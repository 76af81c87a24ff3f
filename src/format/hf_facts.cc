#include "format/hf_facts.h"

#include <simdjson.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "format/json.h"

namespace tl {
namespace {

using Values = std::span<const std::string_view>;  // as JSON writes them

constexpr std::string_view kTrue[] = {"true"};
constexpr std::string_view kFalse[] = {"false"};
constexpr std::string_view kAbsolute[] = {R"("absolute")"};

// The names of one function, that which is named in errors first.
constexpr std::string_view kSilu[] = {R"("silu")", R"("swish")"};
constexpr std::string_view kGelu[] = {R"("gelu")", R"("gelu_python")"};
constexpr std::string_view kTanhGelu[] = {
    R"("gelu_pytorch_tanh")", R"("gelu_python_tanh")", R"("gelu_new")",
    R"("gelu_fast")", R"("gelu_accurate")"};
// The first files of Gemma say "gelu" and mean the other.
constexpr std::string_view kGemmaGelu[] = {R"("gelu_pytorch_tanh")",
                                           R"("gelu")"};

struct Fact {
  std::string_view model_type;
  std::string_view key;
  Values values;
};

const Fact kFacts[] = {
    {"llama", "hidden_act", kSilu},
    {"mistral", "hidden_act", kSilu},
    {"mixtral", "hidden_act", kSilu},
    {"qwen2", "hidden_act", kSilu},
    {"qwen2_moe", "hidden_act", kSilu},
    {"qwen3", "hidden_act", kSilu},
    {"qwen3_moe", "hidden_act", kSilu},
    {"phi3", "hidden_act", kSilu},
    {"gemma", "hidden_act", kGemmaGelu},
    // Some versions of transformers read this one instead.
    {"gemma", "hidden_activation", kTanhGelu},
    {"gemma", "attention_bias", kFalse},
    {"gemma", "use_bidirectional_attention", kFalse},
    {"gemma2", "hidden_activation", kTanhGelu},
    {"gemma2", "attention_bias", kFalse},
    {"gemma2", "use_bidirectional_attention", kFalse},
    {"gemma3_text", "hidden_activation", kTanhGelu},
    {"gemma3_text", "attention_bias", kFalse},
    {"gemma3_text", "use_bidirectional_attention", kFalse},
    {"gpt2", "activation_function", kTanhGelu},
    {"gpt2", "scale_attn_weights", kTrue},
    {"gpt2", "scale_attn_by_inverse_layer_idx", kFalse},
    {"bert", "hidden_act", kGelu},
    {"bert", "is_decoder", kFalse},
    {"bert", "position_embedding_type", kAbsolute},
};

}  // namespace

void CheckFacts(const std::string& label, const std::string& config_json,
                const Family& family) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (ParseJson(parser, config_json).get(root) != simdjson::SUCCESS) return;
  for (const Fact& fact : kFacts) {
    simdjson::dom::element found;
    if (fact.model_type != family.model_type ||
        root[fact.key].get(found) != simdjson::SUCCESS || found.is_null()) {
      continue;
    }
    const std::string said = simdjson::minify(found);
    if (std::ranges::find(fact.values, said) != fact.values.end()) continue;
    Fail(ErrorKind::kInput,
         "{}: its config.json says \"{}\": {}, in GGUF it is {} for '{}'",
         label, fact.key, said, fact.values.front(), family.model_type);
  }
}

}  // namespace tl
