#include "format/hf_tokenizer.h"

#include <simdjson.h>

#include <array>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "format/json.h"

namespace tl {
namespace {

using Json = simdjson::dom::element;
using JsonObject = simdjson::dom::object;

constexpr int64_t kMaxTokens = 10'000'000;  // forty times the largest known

constexpr int64_t kLongestWord = 100;  // of word pieces, in characters

// tokenizer.ggml.token_type
enum TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

constexpr char kBeginsWord[] = "\xE2\x96\x81";  // U+2581

// Regular expressions that cut a text before BPE, and what GGUF calls them.
struct PreTokenizer {
  std::string_view pattern;
  std::string_view name;
};

constexpr auto kPreTokenizers = std::to_array<PreTokenizer>({
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     "llama-bpe"},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     "qwen2"},
});

std::string_view TextOf(Json json, std::string_view key) {
  std::string_view text;
  if (json[key].get(text) != simdjson::SUCCESS) return {};
  return text;
}

bool FlagOf(Json json, std::string_view key) {
  bool flag = false;
  return json[key].get(flag) == simdjson::SUCCESS && flag;
}

class TokenizerReader {
 public:
  TokenizerReader(const TokenizerFiles& files, Metadata& metadata)
      : files_(files), metadata_(metadata) {}

  void Run() {
    root_ = Parse(root_parser_, files_.tokenizer_json, "tokenizer.json");
    if (root_["model"].get(model_) != simdjson::SUCCESS) {
      FailTokenizer("it has no 'model'");
    }
    const std::string_view type = TextOf(model_, "type");
    if (type != "BPE" && type != "WordPiece" && !type.empty()) {
      FailTokenizer(fmt::format("it is of the kind '{}'", type));
    }
    ReadTokens();
    if (type == "WordPiece") {
      AddWordPiece();
    } else if (FlagOf(model_, "byte_fallback")) {
      AddSentencePiece();
    } else {
      AddByteLevel();
    }
    metadata_.Set("tokenizer.ggml.tokens", MetadataValue::Strings(tokens_));
    metadata_.Set("tokenizer.ggml.token_type",
                  MetadataValue::Numbers(std::span<const int32_t>(types_)));
    AddSpecialTokens();
  }

 private:
  [[noreturn]] void FailTokenizer(const std::string& why) const {
    Fail(ErrorKind::kInput,
         "{}: its tokenizer.json cannot be written as GGUF: {}; the layout "
         "'hf' keeps names and needs no tokenizer",
         files_.label, why);
  }

  Json Parse(simdjson::dom::parser& parser, const std::string& text,
             std::string_view file) const {
    Json json;
    if (ParseJson(parser, text).get(json) != simdjson::SUCCESS ||
        !json.is_object()) {
      Fail(ErrorKind::kInput, "{}: its {} is not a JSON object", files_.label,
           file);
    }
    return json;
  }

  void SetToken(int64_t id, std::string_view text, int32_t type) {
    if (id < 0 || id >= kMaxTokens) {
      FailTokenizer(fmt::format("a token has the number {}", id));
    }
    if (static_cast<size_t>(id) >= tokens_.size()) {
      tokens_.resize(id + 1);
      types_.resize(id + 1, kUnused);
    }
    tokens_[id] = text;
    types_[id] = type;
    ids_[tokens_[id]] = id;
  }

  void ReadTokens() {
    JsonObject vocabulary;
    if (model_["vocab"].get(vocabulary) != simdjson::SUCCESS) {
      FailTokenizer("it has no 'vocab'");
    }
    const std::string_view unknown = TextOf(model_, "unk_token");
    for (auto [text, value] : vocabulary) {
      int64_t id = -1;
      if (value.get(id) != simdjson::SUCCESS) id = -1;
      SetToken(id, text, TypeOf(text, unknown));
    }
    ReadAddedTokens(unknown);
    FillGaps();
  }

  static int32_t TypeOf(std::string_view text, std::string_view unknown) {
    if (!unknown.empty() && text == unknown) return kUnknown;
    const bool byte =
        text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
    return byte ? kByte : kNormal;
  }

  void ReadAddedTokens(std::string_view unknown) {
    simdjson::dom::array added;
    if (root_["added_tokens"].get(added) != simdjson::SUCCESS) return;
    for (Json token : added) {
      int64_t id = -1;
      if (token["id"].get(id) != simdjson::SUCCESS) id = -1;
      const std::string_view text = TextOf(token, "content");
      int32_t type = FlagOf(token, "special") ? kControl : kUserDefined;
      if (!unknown.empty() && text == unknown) type = kUnknown;
      SetToken(id, text, type);
    }
  }

  // Numbers without a token, also those that only the matrix has.
  void FillGaps() {
    if (!files_.model_config.empty()) {
      simdjson::dom::parser parser;
      int64_t rows = 0;
      const Json config = Parse(parser, files_.model_config, "config.json");
      if (config["vocab_size"].get(rows) == simdjson::SUCCESS &&
          rows > static_cast<int64_t>(tokens_.size()) && rows <= kMaxTokens) {
        tokens_.resize(rows);
        types_.resize(rows, kUnused);
      }
    }
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (types_[i] == kUnused) tokens_[i] = fmt::format("[PAD{}]", i);
    }
  }

  // "a b", or ["a", "b"].
  std::vector<std::string> Merges() const {
    std::vector<std::string> merges;
    simdjson::dom::array array;
    if (model_["merges"].get(array) != simdjson::SUCCESS) {
      FailTokenizer("it has no 'merges'");
    }
    for (Json merge : array) {
      std::string_view text, second;
      if (merge.get(text) == simdjson::SUCCESS) {
        merges.emplace_back(text);
      } else if (merge.at(0).get(text) == simdjson::SUCCESS &&
                 merge.at(1).get(second) == simdjson::SUCCESS) {
        merges.push_back(fmt::format("{} {}", text, second));
      } else {
        FailTokenizer(fmt::format("merge {} is no pair", merges.size()));
      }
    }
    return merges;
  }

  // SentencePiece joins the pair with the highest score first, BPE the one that
  // comes first in its list: so the place in the list, turned around, is the
  // score of what the pair becomes.
  void AddSentencePiece() {
    metadata_.Set("tokenizer.ggml.model", "llama");
    metadata_.Set("tokenizer.ggml.pre", "default");
    std::vector<float> scores(tokens_.size(), 0);
    const std::vector<std::string> merges = Merges();
    for (size_t rank = merges.size(); rank-- > 0;) {
      const size_t space = merges[rank].find(' ');
      const std::string joined =
          merges[rank].substr(0, space) + merges[rank].substr(space + 1);
      const auto found = ids_.find(joined);
      if (found == ids_.end()) continue;
      scores[found->second] = -static_cast<float>(rank) - 1;
    }
    metadata_.Set("tokenizer.ggml.scores",
                  MetadataValue::Numbers(std::span<const float>(scores)));
    const bool prefix = Mentions("normalizer", "Prepend") ||
                        Mentions("pre_tokenizer", "Metaspace");
    metadata_.Set("tokenizer.ggml.add_space_prefix", MetadataValue::Of(prefix));
  }

  void AddByteLevel() {
    metadata_.Set("tokenizer.ggml.model", "gpt2");
    metadata_.Set("tokenizer.ggml.pre", PreName());
    metadata_.Set("tokenizer.ggml.merges", MetadataValue::Strings(Merges()));
  }

  // GGUF marks the tokens that begin a word, and what goes around them.
  void AddWordPiece() {
    metadata_.Set("tokenizer.ggml.model", "bert");
    CheckWordPiece();
    for (size_t id = 0; id < tokens_.size(); ++id) {
      if (types_[id] == kControl || types_[id] == kUnknown ||
          types_[id] == kUnused) {
        continue;
      }
      tokens_[id] = WordPieceText(tokens_[id], types_[id]);
    }
    const Json normalizer = root_["normalizer"];
    const bool lowercase = FlagOf(normalizer, "lowercase");
    bool strip = lowercase;
    if (normalizer["strip_accents"].get(strip) != simdjson::SUCCESS) {
      strip = lowercase;
    }
    metadata_.Set("tokenizer.ggml.normalizer.lowercase",
                  MetadataValue::Of(lowercase));
    metadata_.Set("tokenizer.ggml.normalizer.strip_accents",
                  MetadataValue::Of(strip));
    AddUnknown();
    AddAroundWordPieces();
  }

  std::string WordPieceText(const std::string& text, int32_t type) const {
    if (type != kNormal || !text.starts_with("##")) return kBeginsWord + text;
    const std::string rest = text.substr(2);
    if (rest.starts_with(kBeginsWord) ||
        (rest.starts_with('[') && rest.ends_with(']'))) {
      FailTokenizer(fmt::format("its token '{}' would begin a word", text));
    }
    return rest;
  }

  // What GGUF's readers take for granted.
  void CheckWordPiece() const {
    if (TextOf(model_, "continuing_subword_prefix") != "##") {
      FailTokenizer("what continues a word is not marked by '##'");
    }
    int64_t longest;
    if (model_["max_input_chars_per_word"].get(longest) == simdjson::SUCCESS &&
        longest != kLongestWord) {
      FailTokenizer(fmt::format("its longest word has {} characters, not {}",
                                longest, kLongestWord));
    }
    Json normalizer;
    if (root_["normalizer"].get(normalizer) != simdjson::SUCCESS ||
        TextOf(normalizer, "type") != "BertNormalizer" ||
        !FlagOf(normalizer, "clean_text") ||
        !FlagOf(normalizer, "handle_chinese_chars") ||
        !Mentions("pre_tokenizer", "BertPreTokenizer")) {
      FailTokenizer("it does not cut texts as BERT does");
    }
  }

  void AddUnknown() {
    const auto id = ids_.find(std::string(TextOf(model_, "unk_token")));
    if (id == ids_.end()) FailTokenizer("it has no 'unk_token'");
    SetId("unknown_token_id", id->second);
  }

  void SetId(std::string_view key, int64_t id) {
    metadata_.Set(fmt::format("tokenizer.ggml.{}", key),
                  MetadataValue::Of(static_cast<uint32_t>(id)));
  }

  void AddAroundWordPieces() {
    Json processor;
    std::string_view first, last;
    if (root_["post_processor"].get(processor) == simdjson::SUCCESS &&
        !processor.is_null()) {
      if (!AroundOf(processor, first, last)) {
        FailTokenizer("it puts other tokens around texts than BERT does");
      }
    }
    if (!first.empty()) {
      SetId("bos_token_id", ids_.at(std::string(first)));
      SetId("cls_token_id", ids_.at(std::string(first)));
    }
    if (!last.empty()) {
      SetId("seperator_token_id", ids_.at(std::string(last)));
    }
    metadata_.Set("tokenizer.ggml.add_bos_token",
                  MetadataValue::Of(!first.empty()));
    metadata_.Set("tokenizer.ggml.add_sep_token",
                  MetadataValue::Of(!last.empty()));
  }

  // One token before a text and one after it, or none.
  bool AroundOf(Json processor, std::string_view& first,
                std::string_view& last) const {
    simdjson::dom::array parts;
    if (TextOf(processor, "type") == "BertProcessing") {
      return processor["cls"].at(0).get(first) == simdjson::SUCCESS &&
             processor["sep"].at(0).get(last) == simdjson::SUCCESS &&
             ids_.contains(std::string(first)) &&
             ids_.contains(std::string(last));
    }
    if (processor["single"].get(parts) != simdjson::SUCCESS) return false;
    bool seen = false;  // the text itself
    for (Json part : parts) {
      std::string_view text;
      if (part["SpecialToken"]["id"].get(text) != simdjson::SUCCESS) {
        if (seen) return false;
        seen = true;
        continue;
      }
      std::string_view& place = seen ? last : first;
      if (!place.empty() || !IsOneToken(processor, text)) return false;
      place = text;
    }
    return seen;
  }

  // A template may have several tokens under one name, or others.
  bool IsOneToken(Json processor, std::string_view name) const {
    const auto known = ids_.find(std::string(name));
    simdjson::dom::array ids;
    int64_t id = -1;
    return known != ids_.end() &&
           processor["special_tokens"][name]["ids"].get(ids) ==
               simdjson::SUCCESS &&
           ids.size() == 1 && ids.at(0).get(id) == simdjson::SUCCESS &&
           id == known->second;
  }

  // The steps of "pre_tokenizer" or "normalizer", which may be one or a list.
  std::vector<Json> Steps(std::string_view part) const {
    Json step;
    if (root_[part].get(step) != simdjson::SUCCESS || step.is_null()) return {};
    simdjson::dom::array list;
    for (std::string_view key : {"pretokenizers", "normalizers"}) {
      if (step[key].get(list) == simdjson::SUCCESS) {
        return {list.begin(), list.end()};
      }
    }
    return {step};
  }

  bool Mentions(std::string_view part, std::string_view type) const {
    for (Json step : Steps(part)) {
      if (TextOf(step, "type") == type) return true;
    }
    return false;
  }

  std::string PreName() const {
    if (!Mentions("pre_tokenizer", "ByteLevel")) {
      FailTokenizer("it is neither byte-level nor has it byte fallback");
    }
    std::string name = "gpt-2";
    for (Json step : Steps("pre_tokenizer")) {
      if (TextOf(step, "type") == "ByteLevel") continue;
      std::string_view pattern;
      if (TextOf(step, "type") != "Split" ||
          step["pattern"]["Regex"].get(pattern) != simdjson::SUCCESS) {
        FailTokenizer(
            fmt::format("it cuts texts by '{}'", TextOf(step, "type")));
      }
      name = NameOfPattern(pattern);
    }
    return name;
  }

  std::string NameOfPattern(std::string_view pattern) const {
    for (const PreTokenizer& row : kPreTokenizers) {
      if (row.pattern == pattern) return std::string(row.name);
    }
    FailTokenizer(fmt::format("it cuts texts by the pattern '{}'", pattern));
  }

  void AddSpecialTokens() {
    simdjson::dom::parser parser, model_parser;
    const bool has_config = !files_.config_json.empty();
    const bool has_model = !files_.model_config.empty();
    Json config, model;
    if (has_config) {
      config = Parse(parser, files_.config_json, "tokenizer_config.json");
    }
    if (has_model) {
      model = Parse(model_parser, files_.model_config, "config.json");
    }
    struct Special {
      const char* name;  // before "_token"
      const char* key;
    };
    constexpr Special kSpecial[] = {{"bos", "tokenizer.ggml.bos_token_id"},
                                    {"eos", "tokenizer.ggml.eos_token_id"},
                                    {"unk", "tokenizer.ggml.unknown_token_id"},
                                    {"pad", "tokenizer.ggml.padding_token_id"},
                                    {"mask", "tokenizer.ggml.mask_token_id"}};
    for (const auto& [name, key] : kSpecial) {
      const std::string token = std::string(name) + "_token";
      std::optional<int64_t> id;
      if (has_config) id = IdOfToken(config, token);
      if (!id && has_model) id = IdInConfig(model, token + "_id");
      if (id) metadata_.Set(key, MetadataValue::Of(static_cast<uint32_t>(*id)));
    }
    AddTemplate(root_["post_processor"]);
    if (!has_config) return;
    for (const char* flag : {"add_bos_token", "add_eos_token"}) {
      bool value;
      if (config[flag].get(value) != simdjson::SUCCESS) continue;
      metadata_.Set(std::string("tokenizer.ggml.") + flag,
                    MetadataValue::Of(value));
    }
  }

  // What is put around a text: GGUF knows a first and a last token.
  void AddTemplate(simdjson::simdjson_result<Json> processor) {
    simdjson::dom::array parts;
    if (processor["processors"].get(parts) == simdjson::SUCCESS) {
      for (size_t i = 0; i < parts.size(); ++i) AddTemplate(parts.at(i));
    }
    if (processor["single"].get(parts) != simdjson::SUCCESS ||
        parts.size() == 0) {
      return;
    }
    const auto is = [&](simdjson::simdjson_result<Json> part, const char* key) {
      std::string_view text;
      const MetadataValue* id = metadata_.Find(key);
      if (id == nullptr ||
          part["SpecialToken"]["id"].get(text) != simdjson::SUCCESS) {
        return false;
      }
      const auto found = ids_.find(std::string(text));
      return found != ids_.end() && id->Int() == found->second;
    };
    if (is(parts.at(0), "tokenizer.ggml.bos_token_id")) {
      metadata_.Set("tokenizer.ggml.add_bos_token", MetadataValue::Of(true));
    }
    if (is(parts.at(parts.size() - 1), "tokenizer.ggml.eos_token_id")) {
      metadata_.Set("tokenizer.ggml.add_eos_token", MetadataValue::Of(true));
    }
  }

  // "<s>", or {"content": "<s>", ...}.
  std::optional<int64_t> IdOfToken(Json config, const std::string& key) const {
    std::string_view text = TextOf(config, key);
    Json token;
    if (text.empty() && config[key].get(token) == simdjson::SUCCESS) {
      text = TextOf(token, "content");
    }
    const auto found = ids_.find(std::string(text));
    if (text.empty() || found == ids_.end()) return std::nullopt;
    return found->second;
  }

  // A number, or several of which the first counts.
  static std::optional<int64_t> IdInConfig(Json config,
                                           const std::string& key) {
    int64_t id;
    if (config[key].get(id) == simdjson::SUCCESS ||
        config[key].at(0).get(id) == simdjson::SUCCESS) {
      if (id >= 0 && id < kMaxTokens) return id;
    }
    return std::nullopt;
  }

  const TokenizerFiles& files_;
  Metadata& metadata_;
  simdjson::dom::parser root_parser_;
  Json root_;
  Json model_;
  std::vector<std::string> tokens_;
  std::vector<int32_t> types_;
  std::unordered_map<std::string, int64_t> ids_;
};

}  // namespace

void AddTokenizer(const TokenizerFiles& files, Metadata& metadata) {
  TokenizerReader(files, metadata).Run();
}

}  // namespace tl
