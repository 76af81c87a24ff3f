#include "text/pre_tokenizer.h"

#include <algorithm>

#include "text/byte_level.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tl {
namespace {

std::vector<TextSpan> MergedBackward(const std::vector<TextSpan>& spans) {
  std::vector<TextSpan> merged;
  bool after_match = false;
  for (const TextSpan& span : spans) {
    if (span.matched && !after_match && !merged.empty()) {
      merged.back().end = span.end;
    } else {
      merged.push_back(span);
    }
    after_match = span.matched;
  }
  return merged;
}

std::vector<TextSpan> MergedForward(const std::vector<TextSpan>& spans) {
  std::vector<TextSpan> merged;
  bool before_match = false;
  for (size_t i = spans.size(); i-- > 0;) {
    const TextSpan& span = spans[i];
    if (span.matched && !before_match && !merged.empty()) {
      merged.back().begin = span.begin;
    } else {
      merged.push_back(span);
    }
    before_match = span.matched;
  }
  std::ranges::reverse(merged);
  return merged;
}

std::vector<TextSpan> Contiguous(const std::vector<TextSpan>& spans) {
  std::vector<TextSpan> merged;
  for (const TextSpan& span : spans) {
    if (!merged.empty() && merged.back().matched == span.matched) {
      merged.back().end = span.end;
    } else {
      merged.push_back(span);
    }
  }
  return merged;
}

}  // namespace

const char kGpt2Pattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+)"
    R"(|\s+(?!\S)|\s+)";

std::vector<TextSpan> Arrange(std::vector<TextSpan> spans,
                              SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      std::erase_if(spans, [](const TextSpan& span) { return span.matched; });
      return spans;
    case SplitBehavior::kIsolated:
      return spans;
    case SplitBehavior::kMergedWithPrevious:
      return MergedBackward(spans);
    case SplitBehavior::kMergedWithNext:
      return MergedForward(spans);
    case SplitBehavior::kContiguous:
      return Contiguous(spans);
  }
  return spans;
}

Pieces Splitter::Apply(const Pieces& pieces) const {
  Pieces out;
  out.Reserve(pieces);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::string_view piece = pieces[i];
    bool first = i == 0 && pieces.at_start();
    for (const TextSpan& span : Arrange(Find(piece), behavior_)) {
      if (first && span.begin == 0 && span.end > 0) out.set_at_start(true);
      out.Add(piece.substr(span.begin, span.end - span.begin));
    }
  }
  return out;
}

std::vector<TextSpan> RegexSplitter::Find(std::string_view piece) const {
  std::vector<TextSpan> spans = pattern_.Cut(piece);
  if (sense_ == Sense::kBetween) {
    for (TextSpan& span : spans) span.matched = !span.matched;
  }
  return spans;
}

std::vector<TextSpan> CharacterSplitter::Find(std::string_view piece) const {
  std::vector<TextSpan> spans;
  size_t done = 0;
  for (size_t at = 0; at < piece.size();) {
    const Utf8Step step = DecodeUtf8(piece.substr(at));
    if (wanted_(step.code_point)) {
      if (done < at) spans.push_back({done, at, false});
      done = at + step.size;
      spans.push_back({at, done, true});
    }
    at += step.size;
  }
  if (done < piece.size()) spans.push_back({done, piece.size(), false});
  return spans;
}

bool IsDelimiter(char32_t c) {
  if (c < 0x80) {
    return (c > ' ' && c < '0') || (c > '9' && c < 'A') ||
           (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7F);
  }
  return IsPunctuation(c);
}

Pieces LengthSplitter::Apply(const Pieces& pieces) const {
  Pieces out;
  out.set_at_start(pieces.at_start());
  for (size_t i = 0; i < pieces.size(); ++i) {
    size_t count = 0;
    for (size_t at = 0; at < pieces[i].size();) {
      const size_t size = Utf8Size(pieces[i][at]);
      out.Append(pieces[i].substr(at, size));
      if (++count % length_ == 0) out.End();
      at += size;
    }
    out.End();
  }
  return out;
}

std::string MetaspacePreTokenizer::Marked(std::string_view piece,
                                          PrefixScheme scheme) const {
  std::string marked;
  marked.reserve(piece.size() + piece.size() / 4 + mark_.size());
  for (char c : piece) {
    if (c == ' ') {
      marked += mark_;
    } else {
      marked += c;
    }
  }
  if (scheme != PrefixScheme::kNever && !marked.starts_with(mark_)) {
    marked.insert(0, mark_);
  }
  return marked;
}

// A mark begins a word.
void MetaspacePreTokenizer::AddWords(std::string_view piece,
                                     Pieces& out) const {
  size_t begin = 0;
  while (begin < piece.size()) {
    const size_t next = piece.find(mark_, begin + 1);
    const size_t end = std::min(next, piece.size());
    out.Add(piece.substr(begin, end - begin));
    begin = end;
  }
}

Pieces MetaspacePreTokenizer::Apply(const Pieces& pieces) const {
  Pieces out;
  out.set_at_start(pieces.at_start());
  for (size_t i = 0; i < pieces.size(); ++i) {
    const bool first = i == 0 && pieces.at_start();
    const PrefixScheme scheme = scheme_ == PrefixScheme::kFirst && !first
                                    ? PrefixScheme::kNever
                                    : scheme_;
    const std::string marked = Marked(pieces[i], scheme);
    if (words_ == Words::kApart) {
      AddWords(marked, out);
    } else {
      out.Add(marked);
    }
  }
  return out;
}

Pieces SpacePrefixer::Apply(const Pieces& pieces) const {
  Pieces out;
  out.set_at_start(pieces.at_start());
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (!pieces[i].starts_with(' ')) out.Append(" ");
    out.Add(pieces[i]);
  }
  return out;
}

Pieces ByteLevelPreTokenizer::Apply(const Pieces& pieces) const {
  Pieces out;
  out.set_at_start(pieces.at_start());
  std::string mapped;
  for (size_t i = 0; i < pieces.size(); ++i) {
    mapped.clear();
    AppendByteLevel(mapped, pieces[i]);
    out.Add(mapped);
  }
  return out;
}

}  // namespace tl
