// Chat templates as Hugging Face keeps them, in tokenizer_config.json or in files
// of their own, and as GGUF does, in metadata: tokenizer.chat_template, others
// with their name behind it, and tokenizer.chat_templates with those names. What
// they are for: text/chat_templates.h.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "format/metadata.h"
#include "format/model.h"

namespace tl {

using NamedTemplates = std::vector<std::pair<std::string, std::string>>;

// Names of their own but for "default".
NamedTemplates TemplatesIn(const Metadata& metadata);
// chat_template.jinja of a folder, and others in additional_chat_templates/.
NamedTemplates TemplateFilesIn(const std::string& folder);

// Those beside a model; `tokenizer_config` is that file's text, or "". Fails
// where a template is no text, and where two would have one name in GGUF.
void AddChatTemplates(const Model& model, const std::string& tokenizer_config,
                      Metadata& metadata);

// tokenizer_config.json with the templates of `metadata` and the tokens that
// begin and end a text; "" if there are no templates.
std::string MakeTokenizerConfig(const Metadata& metadata);

}  // namespace tl
