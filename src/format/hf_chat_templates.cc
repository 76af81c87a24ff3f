#include "format/hf_chat_templates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/sandbox.h"
#include "format/json.h"
#include "format/metadata_text.h"

namespace tl {
namespace {

constexpr std::string_view kKey = "tokenizer.chat_template";
constexpr std::string_view kDefault = "default";
constexpr int64_t kMaxFile = int64_t{16} << 20;

// A text, or a list of {name, template}.
NamedTemplates TemplatesOfConfig(const std::string& tokenizer_config,
                                 const std::string& label) {
  NamedTemplates templates;
  simdjson::dom::parser parser;
  simdjson::dom::element root, said;
  if (ParseJson(parser, tokenizer_config).get(root) != simdjson::SUCCESS ||
      root["chat_template"].get(said) != simdjson::SUCCESS || said.is_null()) {
    return templates;
  }
  std::string_view text, name;
  if (said.get(text) == simdjson::SUCCESS) {
    templates.emplace_back(kDefault, text);
    return templates;
  }
  simdjson::dom::array list;
  const auto fail = [&] {
    Fail(ErrorKind::kInput,
         "{}: 'chat_template' of its tokenizer_config.json is neither a text "
         "nor a list of {{name, template}}",
         label);
  };
  if (said.get(list) != simdjson::SUCCESS) fail();
  for (const simdjson::dom::element item : list) {
    if (item["name"].get(name) != simdjson::SUCCESS ||
        item["template"].get(text) != simdjson::SUCCESS) {
      fail();
    }
    templates.emplace_back(name, text);
  }
  return templates;
}

// Letters and digits, as llama.cpp's converter leaves them.
std::string KeyName(std::string name) {
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

// The text of the token whose number is under the key.
std::optional<std::string_view> TokenText(const Metadata& metadata,
                                          std::string_view key) {
  const auto id = metadata.Int(key);
  const MetadataValue* tokens = metadata.Find("tokenizer.ggml.tokens");
  if (!id || *id < 0 || tokens == nullptr || !tokens->is_array()) {
    return std::nullopt;
  }
  int64_t at = 0;
  for (const MetadataItem token : tokens->array()) {
    if (at++ == *id) return token.Text();
  }
  return std::nullopt;
}

// Templates ask for these by name.
std::string NamedTokens(const Metadata& metadata) {
  std::string json;
  for (const char* name : {"bos_token", "eos_token"}) {
    const auto text =
        TokenText(metadata, fmt::format("tokenizer.ggml.{}_id", name));
    if (!text || !simdjson::validate_utf8(*text)) continue;
    json += fmt::format("  \"{}\": {},\n", name, JsonText(*text));
  }
  return json;
}

}  // namespace

NamedTemplates TemplatesIn(const Metadata& metadata) {
  NamedTemplates templates;
  for (const MetadataEntry& entry : metadata) {
    std::string_view name = entry.key;
    const auto text = entry.value.Text();
    if (!name.starts_with(kKey) || !text) continue;
    name.remove_prefix(kKey.size());
    if (name.empty()) {
      templates.emplace_back(kDefault, *text);
    } else if (name.starts_with('.')) {
      templates.emplace_back(name.substr(1), *text);
    }
  }
  return templates;
}

NamedTemplates TemplateFilesIn(const std::string& folder) {
  namespace fs = std::filesystem;
  NamedTemplates templates;
  std::error_code ignored;
  const auto add = [&](const std::string& name, const fs::path& file) {
    std::string text = ReadTextFile(file.string(), kMaxFile);
    if (!text.empty()) templates.emplace_back(name, std::move(text));
  };
  const fs::path first = fs::path(folder) / "chat_template.jinja";
  if (fs::exists(first, ignored)) add(std::string(kDefault), first);
  const fs::path more = fs::path(folder) / "additional_chat_templates";
  if (fs::exists(more, ignored)) RequireReadable(more.string());
  for (const auto& entry : fs::directory_iterator(more, ignored)) {
    if (entry.path().extension() != ".jinja") continue;
    add(entry.path().stem().string(), entry.path());
  }
  std::ranges::sort(templates);
  return templates;
}

void AddChatTemplates(const Model& model, const std::string& tokenizer_config,
                      Metadata& metadata) {
  NamedTemplates templates;
  if (const auto folder = model.FileBeside(".")) {
    templates = TemplateFilesIn(*folder);
  }
  if (templates.empty()) {
    templates = TemplatesOfConfig(tokenizer_config, model.Label());
  }
  std::vector<std::string> names;
  for (const auto& [name, text] : templates) {
    if (name == kDefault) {
      metadata.Set(kKey, text);
      continue;
    }
    names.push_back(KeyName(name));
    if (!metadata.Add(fmt::format("{}.{}", kKey, names.back()), text)) {
      Fail(ErrorKind::kInput,
           "{}: two of its chat templates would be '{}' in GGUF, which has "
           "letters and digits only",
           model.Label(), names.back());
    }
  }
  if (names.empty()) return;
  metadata.Set("tokenizer.chat_templates", MetadataValue::Strings(names));
}

std::string MakeTokenizerConfig(const Metadata& metadata) {
  const NamedTemplates templates = TemplatesIn(metadata);
  if (templates.empty()) return "";
  std::string list;
  for (const auto& [name, text] : templates) {
    list += fmt::format("{}\n    {{\"name\": {}, \"template\": {}}}",
                        list.empty() ? "" : ",", JsonText(name),
                        JsonText(text));
  }
  const bool single = templates.size() == 1 && templates[0].first == kDefault;
  return fmt::format("{{\n{}  \"chat_template\": {}\n}}\n",
                     NamedTokens(metadata),
                     single ? JsonText(templates[0].second)
                            : fmt::format("[{}\n  ]", list));
}

}  // namespace tl
