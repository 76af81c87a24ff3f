#include "text/decoder.h"

#include <algorithm>

#include "text/byte_level.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace tl {
namespace {

constexpr std::string_view kReplacementText = "\xEF\xBF\xBD";

std::string Replaced(std::string text, std::string_view from,
                     std::string_view to) {
  if (from.empty()) return text;
  for (size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string CleanedUp(std::string text) {
  struct Row {
    std::string_view from, to;
  };
  static constexpr Row kRows[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (const Row& row : kRows) {
    text = Replaced(std::move(text), row.from, row.to);
  }
  return text;
}

std::string Repeated(std::string_view text, size_t times) {
  std::string repeated;
  for (size_t i = 0; i < times; ++i) repeated += text;
  return repeated;
}

void Join(Decoder::Tokens& tokens) {
  std::string joined;
  for (const std::string& token : tokens) joined += token;
  tokens.assign(1, std::move(joined));
}

}  // namespace

// A token with a character that stands for no byte is meant as it is: an added
// one.
void ByteLevelDecoder::Apply(Tokens& tokens, WrongBytes wrong) const {
  std::string bytes;
  for (const std::string& token : tokens) {
    const auto decoded = BytesOfByteLevel(token);
    bytes += decoded ? *decoded : token;
  }
  if (wrong == WrongBytes::kReplace) bytes = WholeText(bytes);
  tokens.assign(1, std::move(bytes));
}

std::string ByteFallbackDecoder::TextOf(const std::string& bytes,
                                        WrongBytes wrong) const {
  if (wrong == WrongBytes::kKeep || IsUtf8(bytes)) return bytes;
  if (run_ == WrongRun::kWhole) {
    return Repeated(kReplacementText, bytes.size());
  }
  std::string text;
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Step step = DecodeUtf8(std::string_view(bytes).substr(at));
    if (step.valid) {
      text.append(bytes, at, step.size);
      at += step.size;
    } else {
      text += kReplacementText;
      ++at;
    }
  }
  return text;
}

void ByteFallbackDecoder::Apply(Tokens& tokens, WrongBytes wrong) const {
  Tokens out;
  std::string run;
  const auto end_run = [&] {
    if (!run.empty()) out.push_back(TextOf(run, wrong));
    run.clear();
  };
  for (std::string& token : tokens) {
    const int byte = ByteOfToken(token);
    if (byte >= 0) {
      run += static_cast<char>(byte);
      continue;
    }
    end_run();
    out.push_back(std::move(token));
  }
  end_run();
  tokens = std::move(out);
}

void ReplaceDecoder::Apply(Tokens& tokens, WrongBytes) const {
  for (std::string& token : tokens) {
    if (!IsUtf8(token)) continue;  // bytes that wait for more
    std::string replaced;
    for (const TextSpan& span : pattern_.Cut(token)) {
      if (span.matched) {
        replaced += content_;
      } else {
        replaced.append(token, span.begin, span.end - span.begin);
      }
    }
    token = std::move(replaced);
  }
}

void FuseDecoder::Apply(Tokens& tokens, WrongBytes) const { Join(tokens); }

void StripDecoder::Apply(Tokens& tokens, WrongBytes) const {
  for (std::string& token : tokens) {
    std::string_view rest = token;
    for (size_t i = 0; i < start_ && rest.starts_with(character_); ++i) {
      rest.remove_prefix(character_.size());
    }
    for (size_t i = 0; i < stop_ && rest.ends_with(character_); ++i) {
      rest.remove_suffix(character_.size());
    }
    if (rest.size() < token.size()) token = std::string(rest);
  }
}

void MetaspaceDecoder::Apply(Tokens& tokens, WrongBytes) const {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string& token = tokens[i];
    if (i > 0 || leading_ == LeadingMark::kBlank) {
      tokens[i] = Replaced(token, mark_, " ");
    } else {
      // All the marks of the first token go.
      tokens[i] = Replaced(token, mark_, "");
    }
  }
}

void WordPieceDecoder::Apply(Tokens& tokens, WrongBytes) const {
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string& token = tokens[i];
    if (i > 0) {
      if (token.starts_with(prefix_)) {
        token.erase(0, prefix_.size());
      } else {
        token.insert(0, " ");
      }
    }
    if (cleanup_ == Cleanup::kYes) token = CleanedUp(std::move(token));
  }
}

void BpeDecoder::Apply(Tokens& tokens, WrongBytes) const {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool last = i + 1 == tokens.size();
    tokens[i] = Replaced(std::move(tokens[i]), suffix_, last ? "" : " ");
  }
}

void CtcDecoder::Apply(Tokens& tokens, WrongBytes) const {
  const auto repeated = std::ranges::unique(tokens);
  tokens.erase(repeated.begin(), repeated.end());
  Tokens out;
  for (std::string& token : tokens) {
    std::string text = Replaced(std::move(token), options_.pad, "");
    if (options_.cleanup == Cleanup::kYes) {
      text = Replaced(CleanedUp(std::move(text)), options_.delimiter, " ");
    }
    if (!text.empty()) out.push_back(std::move(text));
  }
  tokens = std::move(out);
}

void BlankDecoder::Apply(Tokens& tokens, WrongBytes) const {
  for (size_t i = 1; i < tokens.size(); ++i) tokens[i].insert(0, " ");
}

}  // namespace tl
