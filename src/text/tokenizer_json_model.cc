#include "text/tokenizer_json_model.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace tl {
namespace {

using Model = std::unique_ptr<TokenModel>;

void ReadVocabulary(const JsonPart& part, Vocabulary& vocabulary) {
  const JsonPart tokens = part.Get("vocab");
  for (auto [text, value] : tokens.Members()) {
    int64_t id = 0;
    if (value.get(id) != simdjson::SUCCESS) {
      tokens.FailHere("the number of '{}' is none", text);
    }
    vocabulary.Add(id, text, tokens.path());
  }
}

// Of the token that `key` names; kNoToken where nothing is named.
TokenId IdOf(const JsonPart& part, std::string_view key,
             const Vocabulary& vocabulary) {
  const auto named = part.Find(key);
  if (!named) return kNoToken;
  const TokenId id = vocabulary.Find(named->Text());
  if (id == kNoToken) {
    named->FailHere("is '{}', which is none of the {} tokens", named->Text(),
                    vocabulary.size());
  }
  return id;
}

// "a b", or ["a", "b"], where both may hold blanks; nothing for what is
// neither.
std::optional<Bpe::Merge> ReadMerge(simdjson::dom::element merge) {
  std::string_view left, right;
  simdjson::dom::array both;
  if (merge.get(both) == simdjson::SUCCESS) {
    if (both.size() != 2 || both.at(0).get(left) != simdjson::SUCCESS ||
        both.at(1).get(right) != simdjson::SUCCESS) {
      return std::nullopt;
    }
    return Bpe::Merge(left, right);
  }
  std::string_view text;
  if (merge.get(text) != simdjson::SUCCESS) return std::nullopt;
  const size_t blank = text.find(' ');
  if (blank == std::string_view::npos ||
      text.find(' ', blank + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  return Bpe::Merge(text.substr(0, blank), text.substr(blank + 1));
}

std::vector<Bpe::Merge> ReadMerges(const JsonPart& list) {
  std::vector<Bpe::Merge> merges;
  for (simdjson::dom::element merge : list.Array()) {
    auto both = ReadMerge(merge);
    if (!both) {
      list.Item(merge, merges.size())
          .FailHere("is no merge; expected \"a b\" or [\"a\", \"b\"]");
    }
    merges.push_back(*std::move(both));
  }
  return merges;
}

Model ReadBpe(const JsonPart& part, Vocabulary& vocabulary) {
  ReadVocabulary(part, vocabulary);
  const auto dropout = part.Find("dropout");
  if (dropout && dropout->Number() != 0) {
    dropout->FailHere("is {}; random merges are not supported",
                      dropout->Number());
  }
  BpeOptions options;
  options.prefix = part.TextOf("continuing_subword_prefix", "");
  options.suffix = part.TextOf("end_of_word_suffix", "");
  options.whole_words = part.FlagOf("ignore_merges", false);
  options.unknown.token = IdOf(part, "unk_token", vocabulary);
  options.unknown.fuse = part.FlagOf("fuse_unk", false);
  options.unknown.bytes = part.FlagOf("byte_fallback", false);
  const JsonPart merges = part.Get("merges");
  return std::make_unique<Bpe>(vocabulary, ReadMerges(merges),
                               std::move(options), merges.path());
}

Model ReadUnigram(const JsonPart& part, Vocabulary& vocabulary) {
  const JsonPart tokens = part.Get("vocab");
  std::vector<Unigram::Piece> pieces;
  for (simdjson::dom::element token : tokens.Array()) {
    std::string_view text;
    double score = 0;
    if (token.at(0).get(text) != simdjson::SUCCESS ||
        token.at(1).get(score) != simdjson::SUCCESS) {
      tokens.Item(token, pieces.size())
          .FailHere("is no token; expected [\"text\", score]");
    }
    const auto id = static_cast<TokenId>(pieces.size());
    vocabulary.Add(id, text, tokens.path(), SameText::kLastIsFound);
    pieces.push_back({id, score});
  }
  UnknownOptions unknown;
  unknown.fuse = true;
  unknown.bytes = part.FlagOf("byte_fallback", false);
  if (const auto id = part.Find("unk_id")) {
    if (!vocabulary.Has(id->Int())) {
      id->FailHere("is {}; there are {} tokens", id->Int(), vocabulary.size());
    }
    unknown.token = static_cast<TokenId>(id->Int());
  }
  return std::make_unique<Unigram>(vocabulary, pieces, unknown,
                                   ScorePrecision::kDouble);
}

Model ReadWordPiece(const JsonPart& part, Vocabulary& vocabulary) {
  ReadVocabulary(part, vocabulary);
  WordPieceOptions options;
  options.prefix = part.TextOf("continuing_subword_prefix", "##");
  options.unknown = IdOf(part, "unk_token", vocabulary);
  const int64_t longest = part.IntOf("max_input_chars_per_word", 100);
  options.longest = static_cast<size_t>(std::max<int64_t>(longest, 0));
  return std::make_unique<WordPiece>(vocabulary, std::move(options));
}

Model ReadWordLevel(const JsonPart& part, Vocabulary& vocabulary) {
  ReadVocabulary(part, vocabulary);
  return std::make_unique<WordLevel>(vocabulary,
                                     IdOf(part, "unk_token", vocabulary));
}

struct Kind {
  std::string_view name;
  Model (*read)(const JsonPart&, Vocabulary&);
};

constexpr Kind kKinds[] = {{"BPE", ReadBpe},
                           {"Unigram", ReadUnigram},
                           {"WordPiece", ReadWordPiece},
                           {"WordLevel", ReadWordLevel}};

// Files of before 2021 do not say.
std::string_view TypeOf(const JsonPart& part) {
  if (const auto type = part.Find("type")) return type->Text();
  if (part.Find("merges")) return "BPE";
  if (part.Get("vocab").value().is_array()) return "Unigram";
  return part.Find("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

}  // namespace

std::unique_ptr<TokenModel> ReadTokenModel(const JsonPart& part,
                                           Vocabulary& vocabulary) {
  const std::string_view type = TypeOf(part);
  for (const Kind& kind : kKinds) {
    if (kind.name == type) return kind.read(part, vocabulary);
  }
  part.FailHere(
      "the type '{}' is not known here; known are BPE, Unigram, WordPiece, "
      "WordLevel",
      type);
}

}  // namespace tl
