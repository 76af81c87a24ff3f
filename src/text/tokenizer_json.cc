#include "text/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "text/json_part.h"
#include "text/tokenizer_json_model.h"
#include "text/tokenizer_json_steps.h"

namespace tl {
namespace {

// Of the added tokens those that the model has already keep their numbers.
std::vector<AddedToken> ReadAddedTokens(const JsonPart& root,
                                        Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  const auto list = root.Find("added_tokens");
  if (!list) return tokens;
  for (const JsonPart& part : list->Items()) {
    AddedToken token;
    token.text = part.Get("content").Text();
    token.special = part.FlagOf("special", false);
    token.normalized = part.FlagOf("normalized", !token.special);
    token.left_strip = part.FlagOf("lstrip", false);
    token.right_strip = part.FlagOf("rstrip", false);
    token.single_word = part.FlagOf("single_word", false);
    token.id = vocabulary.Find(token.text);
    if (token.id == kNoToken) {
      const int64_t id = part.Get("id").Int();
      vocabulary.Add(id, token.text, list->path());
      token.id = static_cast<TokenId>(id);
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

TokenId TokenOf(const JsonPart& part, const Vocabulary& vocabulary) {
  if (!vocabulary.Has(part.Int())) {
    part.FailHere("is {}; the vocabulary has {} tokens", part.Int(),
                  vocabulary.size());
  }
  return static_cast<TokenId>(part.Int());
}

// {"single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {}}],
//  "special_tokens": {"<s>": {"ids": [1]}}}
Template ReadTemplate(const JsonPart& part, const Vocabulary& vocabulary) {
  Template pattern;
  const JsonPart tokens = part.Get("special_tokens");
  for (const JsonPart& item : part.Get("single").Items()) {
    const auto special = item.Find("SpecialToken");
    if (!special) {
      item.Get("Sequence");
      pattern.push_back(kNoToken);
      continue;
    }
    const JsonPart token = tokens.Get(special->Get("id").Text());
    for (const JsonPart& id : token.Get("ids").Items()) {
      pattern.push_back(TokenOf(id, vocabulary));
    }
  }
  return pattern;
}

// ["[CLS]", 101]
TokenId ReadPair(const JsonPart& part, const Vocabulary& vocabulary) {
  const std::vector<JsonPart> both = part.Items();
  if (both.size() != 2) part.FailHere("has {} parts; expected 2", both.size());
  return TokenOf(both[1], vocabulary);
}

void ReadPostProcessor(const JsonPart& part, const Vocabulary& vocabulary,
                       std::vector<Template>& templates) {
  const std::string_view type = part.Get("type").Text();
  if (type == "Sequence") {
    for (const JsonPart& item : part.Get("processors").Items()) {
      ReadPostProcessor(item, vocabulary, templates);
    }
  } else if (type == "TemplateProcessing") {
    templates.push_back(ReadTemplate(part, vocabulary));
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    templates.push_back({ReadPair(part.Get("cls"), vocabulary), kNoToken,
                         ReadPair(part.Get("sep"), vocabulary)});
  } else if (type != "ByteLevel") {  // which moves offsets only
    part.FailHere(
        "the type '{}' is not known here; known are Sequence, "
        "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel",
        type);
  }
}

// "<s>", or {"content": "<s>", ...}.
std::optional<TokenId> NamedToken(const JsonPart& config, std::string_view key,
                                  const Vocabulary& vocabulary) {
  auto part = config.Find(key);
  if (part && part->value().is_object()) part = part->Find("content");
  if (!part || !part->value().is_string()) return std::nullopt;
  const TokenId id = vocabulary.Find(part->Text());
  return id == kNoToken ? std::nullopt : std::optional(id);
}

// A number or several, those of them that are tokens.
std::vector<TokenId> NumberedTokens(const JsonPart& config,
                                    std::string_view key,
                                    const Vocabulary& vocabulary) {
  std::vector<TokenId> ids;
  const auto part = config.Find(key);
  if (!part) return ids;
  const std::vector<JsonPart> items =
      part->value().is_array() ? part->Items() : std::vector{*part};
  for (const JsonPart& item : items) {
    if (vocabulary.Has(item.Int())) {
      ids.push_back(static_cast<TokenId>(item.Int()));
    }
  }
  return ids;
}

// A file beside says what its tokens are for: the tokenizer's configuration by
// their texts, the model's by their numbers.
class SpecialReader {
 public:
  SpecialReader(const TokenizerJsonFiles& files, const Vocabulary& vocabulary)
      : files_(files), vocabulary_(vocabulary) {}

  SpecialIds Read() {
    ByName(files_.tokenizer_config, PathOf("tokenizer_config.json"));
    ByNumber(files_.generation_config, PathOf("generation_config.json"));
    ByNumber(files_.model_config, PathOf("config.json"));
    if (special_.eos) {
      std::erase(special_.ends, *special_.eos);
      special_.ends.insert(special_.ends.begin(), *special_.eos);
    }
    return std::move(special_);
  }

 private:
  struct Field {
    std::string_view name;
    std::optional<TokenId> SpecialIds::*id;
  };
  static constexpr Field kFields[] = {{"bos_token", &SpecialIds::bos},
                                      {"eos_token", &SpecialIds::eos},
                                      {"unk_token", &SpecialIds::unknown},
                                      {"pad_token", &SpecialIds::pad}};

  std::string PathOf(const char* name) const {
    return std::filesystem::path(files_.label).replace_filename(name).string();
  }

  void ByName(const std::string& text, const std::string& label) {
    if (text.empty()) return;
    const JsonFile file(text, label);
    for (const Field& field : kFields) {
      special_.*field.id = NamedToken(file.root(), field.name, vocabulary_);
    }
  }

  void ByNumber(const std::string& text, const std::string& label) {
    if (text.empty()) return;
    const JsonFile file(text, label);
    for (const Field& field : kFields) {
      const auto ids = NumberedTokens(
          file.root(), fmt::format("{}_id", field.name), vocabulary_);
      auto& known = special_.*field.id;
      if (!known && !ids.empty()) known = ids.front();
      if (field.id != &SpecialIds::eos) continue;
      for (TokenId id : ids) {
        std::erase(special_.ends, id);
        special_.ends.push_back(id);
      }
    }
  }

  const TokenizerJsonFiles& files_;
  const Vocabulary& vocabulary_;
  SpecialIds special_;
};

}  // namespace

Tokenizer ReadTokenizerJson(const TokenizerJsonFiles& files) {
  const JsonFile file(files.tokenizer, files.label);
  const JsonPart& root = file.root();
  TokenizerParts parts;
  Vocabulary& vocabulary = *parts.vocabulary;
  parts.model = ReadTokenModel(root.Get("model"), vocabulary);
  if (const auto part = root.Find("normalizer")) {
    parts.normalizers = ReadNormalizers(*part);
  }
  parts.added =
      AddedTokens(ReadAddedTokens(root, vocabulary), parts.normalizers);
  if (const auto part = root.Find("pre_tokenizer")) {
    parts.pre_tokenizers = ReadPreTokenizers(*part);
  }
  if (const auto part = root.Find("post_processor")) {
    ReadPostProcessor(*part, vocabulary, parts.templates);
  }
  if (const auto part = root.Find("decoder")) {
    parts.decoders = ReadDecoders(*part);
  } else {
    parts.decoders.push_back(std::make_unique<BlankDecoder>());
  }
  parts.special = SpecialReader(files, vocabulary).Read();
  AddUsualEnds(vocabulary, parts.added, parts.special);
  return Tokenizer(std::move(parts));
}

}  // namespace tl
