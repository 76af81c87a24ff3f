#include "text/chat_templates.h"

#include <optional>

#include "base/error.h"
#include "text/json_part.h"

namespace tl {
namespace {

// Names that transformers give a template as variables.
constexpr std::string_view kSpecialTokens[] = {
    "bos_token", "eos_token", "unk_token", "sep_token",
    "pad_token", "cls_token", "mask_token"};

void ReadSpecialTokens(const JsonPart& config, ChatTemplates& into) {
  for (std::string_view name : kSpecialTokens) {
    auto part = config.Find(name);
    if (part && part->value().is_object()) part = part->Find("content");
    if (!part || !part->value().is_string()) continue;
    into.special_tokens.emplace_back(name, part->Text());
  }
}

std::string NamesOf(const std::vector<ChatTemplates::Text>& templates) {
  std::string names;
  for (const auto& [name, text] : templates) {
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", name);
  }
  return names.empty() ? "none" : names;
}

}  // namespace

const std::string* ChatTemplates::Find(std::string_view name) const {
  for (const auto& [known, text] : templates) {
    if (known == name) return &text;
  }
  return nullptr;
}

std::string_view ChatTemplates::Choose(std::string_view chosen, bool with_tools,
                                       std::string_view label) const {
  if (!chosen.empty()) {
    if (const std::string* named = Find(chosen)) return *named;
    // A text without a tag would be written as it is, whoever speaks.
    if (chosen.find('{') != std::string_view::npos) return chosen;
    Fail(ErrorKind::kInput, "{} has no chat template '{}'; there is {}", label,
         chosen, NamesOf(templates));
  }
  const std::string* text = with_tools ? Find("tool_use") : nullptr;
  if (!text) text = Find(kDefaultTemplate);
  if (text) return *text;
  if (templates.empty()) {
    Fail(ErrorKind::kInput,
         "{} has no chat template; chat_template: can give one", label);
  }
  Fail(ErrorKind::kInput,
       "{} has no default chat template; chat_template: can name one of {}",
       label, NamesOf(templates));
}

ChatTemplates ReadChatTemplates(const std::string& tokenizer_config,
                                const std::string& label) {
  ChatTemplates found;
  const JsonFile file(tokenizer_config, label);
  ReadSpecialTokens(file.root(), found);
  const auto part = file.root().Find("chat_template");
  if (!part) return found;
  if (!part->value().is_array()) {
    found.templates.emplace_back(kDefaultTemplate, part->Text());
    return found;
  }
  for (const JsonPart& item : part->Items()) {
    found.templates.emplace_back(item.Get("name").Text(),
                                 item.Get("template").Text());
  }
  return found;
}

}  // namespace tl
