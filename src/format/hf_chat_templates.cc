#include "format/hf_chat_templates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "format/json.h"
#include "format/metadata_text.h"

namespace tl {
namespace {

constexpr std::string_view kKey = "tokenizer.chat_template";
constexpr std::string_view kDefault = "default";
constexpr int64_t kMaxFile = int64_t{16} << 20;

using Templates = std::vector<std::pair<std::string, std::string>>;  // by name

// A text, or a list of {name, template}.
Templates TemplatesOfConfig(const std::string& tokenizer_config) {
  Templates templates;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (ParseJson(parser, tokenizer_config).get(root) != simdjson::SUCCESS) {
    return templates;
  }
  std::string_view text, name;
  if (root["chat_template"].get(text) == simdjson::SUCCESS) {
    templates.emplace_back(kDefault, text);
  }
  simdjson::dom::array list;
  if (root["chat_template"].get(list) != simdjson::SUCCESS) return templates;
  for (const simdjson::dom::element item : list) {
    if (item["name"].get(name) == simdjson::SUCCESS &&
        item["template"].get(text) == simdjson::SUCCESS) {
      templates.emplace_back(name, text);
    }
  }
  return templates;
}

// chat_template.jinja, and others in additional_chat_templates/.
Templates TemplatesOfFiles(const Model& model) {
  namespace fs = std::filesystem;
  Templates templates;
  if (const auto file = model.FileBeside("chat_template.jinja")) {
    templates.emplace_back(kDefault, ReadTextFile(*file, kMaxFile));
  }
  const auto folder = model.FileBeside("additional_chat_templates");
  if (!folder) return templates;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(*folder, ignored)) {
    if (entry.path().extension() != ".jinja") continue;
    templates.emplace_back(entry.path().stem().string(),
                           ReadTextFile(entry.path().string(), kMaxFile));
  }
  std::ranges::sort(templates);
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

void AddChatTemplates(const Model& model, const std::string& tokenizer_config,
                      Metadata& metadata) {
  Templates templates = TemplatesOfFiles(model);
  if (templates.empty()) templates = TemplatesOfConfig(tokenizer_config);
  std::vector<std::string> names;
  for (const auto& [name, text] : templates) {
    if (name == kDefault) {
      metadata.Set(kKey, text);
      continue;
    }
    names.push_back(KeyName(name));
    metadata.Set(fmt::format("{}.{}", kKey, names.back()), text);
  }
  if (names.empty()) return;
  metadata.Set("tokenizer.chat_templates", MetadataValue::Strings(names));
}

std::string MakeTokenizerConfig(const Metadata& metadata) {
  std::string list;
  for (const MetadataEntry& entry : metadata) {
    std::string_view name = entry.key;
    const auto text = entry.value.Text();
    if (!name.starts_with(kKey) || !text) continue;
    name.remove_prefix(kKey.size());
    if (!name.empty() && name.front() != '.') continue;
    list += fmt::format("{}\n    {{\"name\": {}, \"template\": {}}}",
                        list.empty() ? "" : ",",
                        JsonText(name.empty() ? kDefault : name.substr(1)),
                        JsonText(*text));
  }
  if (list.empty()) return "";
  const auto only = metadata.Text(kKey);
  const bool single = only && metadata.Find("tokenizer.chat_templates") == nullptr;
  return fmt::format(
      "{{\n{}  \"chat_template\": {}\n}}\n", NamedTokens(metadata),
      single ? JsonText(*only) : fmt::format("[{}\n  ]", list));
}

}  // namespace tl
