#include "text/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace tl {

void AddEnd(TokenId id, SpecialIds& special) {
  if (std::ranges::find(special.ends, id) == special.ends.end()) {
    special.ends.push_back(id);
  }
}

void AddUsualEnds(const Vocabulary& vocabulary, const AddedTokens& added,
                  SpecialIds& special) {
  constexpr std::string_view kEnds[] = {
      "<|eot_id|>", "<|im_end|>",    "<|end|>",         "<end_of_turn>",
      "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "<EOT>"};
  for (std::string_view text : kEnds) {
    const TokenId id = vocabulary.Find(text);
    if (id != kNoToken && added.IsSpecial(text)) AddEnd(id, special);
  }
}

std::vector<TokenId> Tokenizer::Tokenize(std::string_view text,
                                         TokenizeOptions options) const {
  const std::string whole = WholeText(text);
  const SpecialTokens special =
      options.parse_special ? SpecialTokens::kParse : SpecialTokens::kAsText;
  std::vector<TokenId> ids;
  for (const Section& section : parts_.added.Cut(whole, special)) {
    if (section.id != kNoToken) {
      ids.push_back(section.id);
    } else {
      TokenizePart(std::string_view(whole).substr(section.begin,
                                                  section.end - section.begin),
                   section.begin == 0, special, ids);
    }
  }
  if (!options.add_special) return ids;
  for (const Template& pattern : parts_.templates) ids = Fill(pattern, ids);
  return ids;
}

void Tokenizer::TokenizePart(std::string_view part, bool at_start,
                             SpecialTokens special,
                             std::vector<TokenId>& out) const {
  const std::string text = ApplyAll(parts_.normalizers, std::string(part));
  for (const Section& section : parts_.added.CutNormalized(text, special)) {
    if (section.id != kNoToken) {
      out.push_back(section.id);
    } else {
      TokenizeWords(std::string_view(text).substr(section.begin,
                                                  section.end - section.begin),
                    at_start && section.begin == 0, out);
    }
  }
}

void Tokenizer::TokenizeWords(std::string_view text, bool at_start,
                              std::vector<TokenId>& out) const {
  Pieces pieces(text, at_start);
  for (const auto& step : parts_.pre_tokenizers) pieces = step->Apply(pieces);
  for (size_t i = 0; i < pieces.size(); ++i) {
    parts_.model->Tokenize(pieces[i], out);
  }
}

const std::string& Tokenizer::TokenText(int64_t id) const {
  if (!parts_.vocabulary->Has(id)) {
    if (id < 0 || id >= vocabulary_size()) {
      Fail(ErrorKind::kProgram,
           "token {} is outside the vocabulary, which has {} tokens", id,
           vocabulary_size());
    }
    Fail(ErrorKind::kProgram, "the vocabulary has no token of the number {}",
         id);
  }
  return parts_.vocabulary->Text(static_cast<TokenId>(id));
}

std::string Tokenizer::Detokenize(std::span<const TokenId> ids,
                                  DetokenizeOptions options) const {
  Decoder::Tokens tokens;
  tokens.reserve(ids.size());
  for (TokenId id : ids) {
    const std::string& text = TokenText(id);
    if (!options.skip_special || !parts_.added.IsSpecial(text)) {
      tokens.push_back(text);
    }
  }
  for (const auto& step : parts_.decoders) {
    step->Apply(tokens, options.wrong_bytes);
  }
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

}  // namespace tl
