#include "text/gguf_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/normalizer.h"

namespace tl {
namespace {

// tokenizer.ggml.token_type
enum GgufTokenType : int32_t {
  kNormalToken = 1,
  kUnknownToken = 2,
  kControlToken = 3,
  kUserToken = 4,
  kUnusedToken = 5,
  kByteToken = 6,
};

// Where the file does not say which token is meant.
struct DefaultIds {
  std::optional<int64_t> bos, eos, unknown, separator;
};

class Maker {
 public:
  explicit Maker(const GgufVocabulary& file) : file_(file) {}

  Tokenizer Make();

 private:
  // One for each model.
  void AddSentencePieceDecoders(bool prefix);
  void MakeSentencePiece();
  void MakeByteLevel();
  void MakeWordPiece();
  void MakeUnigram();

  template <class... Args>
  [[noreturn]] void FailFile(fmt::format_string<Args...> text,
                             Args&&... args) const {
    Fail(ErrorKind::kInput, "{}: {}", file_.label,
         fmt::format(text, std::forward<Args>(args)...));
  }

  // As the vocabulary has it.
  std::string TextOf(size_t id) const;
  void AddTokens();
  void AddSpecials();
  void CheckCount(size_t count, std::string_view key) const;
  const std::vector<float>& Scores() const;
  int32_t TypeOf(size_t id) const {
    return file_.token_types ? (*file_.token_types)[id] : kNormalToken;
  }
  // Made by joining or choosing, not found as a whole.
  bool IsOrdinary(size_t id) const {
    const int32_t type = TypeOf(id);
    return type == kNormalToken || type == kUserToken || type == kUnusedToken;
  }
  std::optional<TokenId> IdOf(const std::optional<int64_t>& id,
                              const std::optional<int64_t>& otherwise,
                              std::string_view key) const;
  void FindSpecialIds(const DefaultIds& defaults);
  void FindEnds();
  // What stands around a text, as the file says or else as `bos` ... do.
  void AddTemplate(bool bos, bool eos);
  TokenId UnknownId() const {
    return parts_.special.unknown.value_or(kNoToken);
  }
  std::optional<TokenId> Around(const std::optional<bool>& asked,
                                bool otherwise,
                                const std::optional<TokenId>& id,
                                std::string_view name) const;

  const GgufVocabulary& file_;
  TokenizerParts parts_;
  std::optional<TokenId> separator_;
};

void Maker::CheckCount(size_t count, std::string_view key) const {
  if (count != file_.tokens.size()) {
    FailFile("tokenizer.ggml.{} has {} elements; there are {} tokens", key,
             count, file_.tokens.size());
  }
}

const std::vector<float>& Maker::Scores() const {
  if (!file_.scores) {
    FailFile("it lacks tokenizer.ggml.scores, which the tokenizer '{}' needs",
             file_.model);
  }
  return *file_.scores;
}

// Of word pieces the file marks what begins a word; Hugging Face's
// vocabularies, and ours then, mark what continues one.
std::string Maker::TextOf(size_t id) const {
  const std::string_view text = file_.tokens[id];
  if (file_.model != "bert" || TypeOf(id) == kControlToken) {
    return std::string(text);
  }
  if (text.starts_with(kSpaceMark)) {
    return std::string(text.substr(kSpaceMark.size()));
  }
  if (text.starts_with('[') && text.ends_with(']')) return std::string(text);
  return "##" + std::string(text);
}

void Maker::AddTokens() {
  if (file_.tokens.empty()) FailFile("it lacks tokenizer.ggml.tokens");
  if (file_.scores) CheckCount(file_.scores->size(), "scores");
  if (file_.token_types) CheckCount(file_.token_types->size(), "token_type");
  Vocabulary& vocabulary = *parts_.vocabulary;
  vocabulary.Reserve(file_.tokens.size());
  const std::string source = file_.label + ": tokenizer.ggml.tokens";
  for (size_t id = 0; id < file_.tokens.size(); ++id) {
    vocabulary.Add(static_cast<int64_t>(id), TextOf(id), source);
  }
}

// Control tokens are found where the caller wants that, those of a user always.
void Maker::AddSpecials() {
  std::vector<AddedToken> added;
  for (size_t id = 0; id < file_.tokens.size(); ++id) {
    const int32_t type = TypeOf(id);
    const bool special = type == kControlToken || type == kUnknownToken;
    if (!special && type != kUserToken) continue;
    added.push_back({.id = static_cast<TokenId>(id),
                     .text = TextOf(id),
                     .special = special});
  }
  parts_.added = AddedTokens(std::move(added), parts_.normalizers);
}

std::optional<TokenId> Maker::IdOf(const std::optional<int64_t>& id,
                                   const std::optional<int64_t>& otherwise,
                                   std::string_view key) const {
  const Vocabulary& vocabulary = *parts_.vocabulary;
  if (id && !vocabulary.Has(*id)) {
    FailFile("tokenizer.ggml.{} is {}; there are {} tokens", key, *id,
             vocabulary.size());
  }
  const std::optional<int64_t>& chosen = id ? id : otherwise;
  if (!chosen || !vocabulary.Has(*chosen)) return std::nullopt;
  return static_cast<TokenId>(*chosen);
}

void Maker::FindSpecialIds(const DefaultIds& defaults) {
  SpecialIds& special = parts_.special;
  const auto& bos =
      file_.bos_token_id ? file_.bos_token_id : file_.cls_token_id;
  special.bos = IdOf(bos, defaults.bos, "bos_token_id");
  special.eos = IdOf(file_.eos_token_id, defaults.eos, "eos_token_id");
  special.unknown =
      IdOf(file_.unknown_token_id, defaults.unknown, "unknown_token_id");
  special.pad = IdOf(file_.padding_token_id, {}, "padding_token_id");
  separator_ =
      IdOf(file_.separator_token_id, defaults.separator, "seperator_token_id");
}

void Maker::FindEnds() {
  const std::optional<TokenId> named[] = {
      parts_.special.eos, IdOf(file_.eot_token_id, {}, "eot_token_id"),
      IdOf(file_.eom_token_id, {}, "eom_token_id")};
  for (const std::optional<TokenId>& id : named) {
    if (id) AddEnd(*id, parts_.special);
  }
  AddUsualEnds(*parts_.vocabulary, parts_.added, parts_.special);
}

// A token that a file asks for by name, it must have; by default, it may.
std::optional<TokenId> Maker::Around(const std::optional<bool>& asked,
                                     bool otherwise,
                                     const std::optional<TokenId>& id,
                                     std::string_view name) const {
  if (!asked.value_or(otherwise)) return std::nullopt;
  if (asked && !id) {
    FailFile("tokenizer.ggml.add_{}_token is set, but there is no such token",
             name);
  }
  return id;
}

void Maker::AddTemplate(bool bos, bool eos) {
  Template pattern;
  const SpecialIds& special = parts_.special;
  if (auto id = Around(file_.add_bos_token, bos, special.bos, "bos")) {
    pattern.push_back(*id);
  }
  pattern.push_back(kNoToken);
  if (auto id = Around(file_.add_eos_token, eos, special.eos, "eos")) {
    pattern.push_back(*id);
  }
  if (pattern.size() > 1) parts_.templates.push_back(std::move(pattern));
}

// Marks are blanks again, bytes characters, and a blank that was put before the
// text goes.
void Maker::AddSentencePieceDecoders(bool prefix) {
  parts_.decoders.push_back(
      std::make_unique<ReplaceDecoder>(Regex::Literal(kSpaceMark), " "));
  parts_.decoders.push_back(
      std::make_unique<ByteFallbackDecoder>(WrongRun::kWrongPart));
  parts_.decoders.push_back(std::make_unique<FuseDecoder>());
  if (prefix) {
    parts_.decoders.push_back(std::make_unique<StripDecoder>(" ", 1, 0));
  }
}

void Maker::MakeSentencePiece() {
  FindSpecialIds({.bos = 1, .eos = 2, .unknown = 0, .separator = {}});
  const bool prefix = file_.add_space_prefix.value_or(true);
  SentencePieceOptions options;
  options.prefix = prefix;
  options.remove_extra_spaces = file_.remove_extra_whitespaces.value_or(false);
  if (file_.precompiled_charsmap) {
    options.map.emplace(*file_.precompiled_charsmap);
  }
  parts_.normalizers.push_back(
      std::make_unique<SentencePieceNormalizer>(std::move(options)));
  std::vector<std::optional<float>> scores(file_.tokens.size());
  for (size_t id = 0; id < scores.size(); ++id) {
    if (IsOrdinary(id)) scores[id] = Scores()[id];
  }
  parts_.model = std::make_unique<ScoredBpe>(
      *parts_.vocabulary, scores,
      UnknownOptions{.token = UnknownId(), .fuse = false, .bytes = true});
  AddSentencePieceDecoders(prefix);
  AddTemplate(true, false);
}

void Maker::MakeByteLevel() {
  FindSpecialIds({});
  const std::string pre = file_.pre.value_or("default");
  const GgufPreTokenizer* row = FindGgufPreTokenizer(pre);
  if (row == nullptr) {
    FailFile(
        "tokenizer.ggml.pre is '{}', a way of cutting texts that is not "
        "known here",
        pre);
  }
  if (!file_.merges) FailFile("it lacks tokenizer.ggml.merges");
  parts_.pre_tokenizers = MakePreTokenizers(*row);
  std::vector<Bpe::Merge> merges;
  merges.reserve(file_.merges->size());
  for (std::string_view merge : *file_.merges) {
    // The first part may begin with a blank of its own.
    const size_t blank = merge.find(' ', 1);
    if (blank == std::string_view::npos) {
      FailFile(
          "tokenizer.ggml.merges: merge {} is '{}'; expected two parts "
          "and a blank between",
          merges.size(), merge);
    }
    merges.emplace_back(merge.substr(0, blank), merge.substr(blank + 1));
  }
  BpeOptions options;
  options.whole_words = row->whole_words;
  options.unknown.token = UnknownId();
  parts_.model =
      std::make_unique<Bpe>(*parts_.vocabulary, merges, std::move(options),
                            file_.label + ": tokenizer.ggml.merges");
  parts_.decoders.push_back(std::make_unique<ByteLevelDecoder>());
  AddTemplate(row->add_bos, false);
}

void Maker::MakeWordPiece() {
  FindSpecialIds({.bos = 101, .eos = {}, .unknown = 100, .separator = 102});
  BertOptions bert;
  bert.lowercase = file_.lowercase.value_or(true);
  bert.strip_accents = file_.strip_accents.value_or(bert.lowercase);
  parts_.normalizers.push_back(std::make_unique<BertNormalizer>(bert));
  parts_.pre_tokenizers.push_back(
      std::make_unique<CharacterSplitter>(IsSpace, SplitBehavior::kRemoved));
  parts_.pre_tokenizers.push_back(std::make_unique<CharacterSplitter>(
      IsDelimiter, SplitBehavior::kIsolated));
  WordPieceOptions options;
  options.unknown = UnknownId();
  parts_.model =
      std::make_unique<WordPiece>(*parts_.vocabulary, std::move(options));
  parts_.decoders.push_back(
      std::make_unique<WordPieceDecoder>("##", Cleanup::kYes));
  Template pattern;
  if (auto id = Around(file_.add_bos_token, true, parts_.special.bos, "bos")) {
    pattern.push_back(*id);
  }
  pattern.push_back(kNoToken);
  const auto end = separator_ ? separator_ : parts_.special.eos;
  if (auto id = Around(file_.add_sep_token, true, end, "sep")) {
    pattern.push_back(*id);
  }
  parts_.templates.push_back(std::move(pattern));
}

void Maker::MakeUnigram() {
  FindSpecialIds({.bos = {}, .eos = 1, .unknown = 2, .separator = {}});
  const bool prefix = file_.add_space_prefix.value_or(true);
  SentencePieceOptions options;
  options.prefix = prefix;
  options.remove_extra_spaces = file_.remove_extra_whitespaces.value_or(true);
  if (file_.precompiled_charsmap) {
    options.map.emplace(*file_.precompiled_charsmap);
  }
  parts_.normalizers.push_back(
      std::make_unique<SentencePieceNormalizer>(std::move(options)));
  std::vector<Unigram::Piece> pieces;
  for (size_t id = 0; id < file_.tokens.size(); ++id) {
    if (TypeOf(id) != kNormalToken && TypeOf(id) != kUserToken) continue;
    pieces.push_back({static_cast<TokenId>(id), Scores()[id]});
  }
  parts_.model = std::make_unique<Unigram>(
      *parts_.vocabulary, pieces,
      UnknownOptions{.token = UnknownId(), .fuse = true, .bytes = true},
      ScorePrecision::kFloat);
  AddSentencePieceDecoders(prefix);
  AddTemplate(false, true);
}

Tokenizer Maker::Make() {
  struct Kind {
    std::string_view model;
    void (Maker::*make)();
  };
  constexpr Kind kKinds[] = {{"llama", &Maker::MakeSentencePiece},
                             {"gpt2", &Maker::MakeByteLevel},
                             {"bert", &Maker::MakeWordPiece},
                             {"t5", &Maker::MakeUnigram}};
  for (const Kind& kind : kKinds) {
    if (kind.model != file_.model) continue;
    AddTokens();
    (this->*kind.make)();
    AddSpecials();
    FindEnds();
    return Tokenizer(std::move(parts_));
  }
  FailFile("tokenizer.ggml.model is '{}'; known here are llama, gpt2, bert, t5",
           file_.model);
}

}  // namespace

Tokenizer MakeGgufTokenizer(const GgufVocabulary& file) {
  return Maker(file).Make();
}

}  // namespace tl
