// Where a tokenizer's parts lie: GGUF's metadata in the form that the room
// `text` asks for, and the JSON files of a Hugging Face folder.
#pragma once

#include <optional>
#include <string>

#include "format/metadata.h"
#include "text/chat_templates.h"
#include "text/gguf_tokenizer.h"
#include "text/tokenizer_json.h"

namespace tl {

inline constexpr char kGgufTokenizerModel[] = "tokenizer.ggml.model";

// The keys tokenizer.ggml.*; fails where one is of the wrong kind. The result
// looks into `metadata`.
GgufVocabulary GgufVocabularyOf(const Metadata& metadata,
                                const std::string& label);

// A tokenizer.json with what lies beside it.
TokenizerJsonFiles TokenizerJsonFilesAt(const std::string& path);

// tokenizer.chat_template, and tokenizer.chat_template.NAME of others.
ChatTemplates ChatTemplatesOf(const Metadata& metadata);

// Those of chat_template.jinja and additional_chat_templates/NAME.jinja in the
// folder of tokenizer.json, else of its tokenizer_config.json.
ChatTemplates ChatTemplatesBeside(const TokenizerJsonFiles& files);

}  // namespace tl
