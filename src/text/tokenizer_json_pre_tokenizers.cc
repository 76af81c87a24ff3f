#include "text/tokenizer_json_steps.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tl {
namespace {

template <class Step, class... Args>
void Add(PreTokenizers& steps, Args&&... args) {
  steps.push_back(std::make_unique<Step>(std::forward<Args>(args)...));
}

template <class Step, class... Args>
PreTokenizers One(Args&&... args) {
  PreTokenizers steps;
  Add<Step>(steps, std::forward<Args>(args)...);
  return steps;
}

constexpr JsonWord<SplitBehavior> kBehaviors[] = {
    {"Removed", SplitBehavior::kRemoved},
    {"Isolated", SplitBehavior::kIsolated},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous},
};

PreTokenizers Sequence(const JsonPart& part) {
  PreTokenizers steps;
  for (const JsonPart& item : part.Get("pretokenizers").Items()) {
    for (auto& step : ReadPreTokenizers(item)) steps.push_back(std::move(step));
  }
  return steps;
}

PreTokenizers ByteLevel(const JsonPart& part) {
  PreTokenizers steps;
  if (part.FlagOf("add_prefix_space", true)) Add<SpacePrefixer>(steps);
  if (part.FlagOf("use_regex", true)) {
    Add<RegexSplitter>(steps, Regex(kGpt2Pattern), SplitBehavior::kIsolated);
  }
  Add<ByteLevelPreTokenizer>(steps);
  return steps;
}

PreTokenizers Split(const JsonPart& part) {
  return One<RegexSplitter>(
      ReadPattern(part.Get("pattern")),
      ReadWord(part.Get("behavior"), kBehaviors),
      part.FlagOf("invert", false) ? Sense::kBetween : Sense::kMatches);
}

// Files of before 2023 say add_prefix_space instead of prepend_scheme.
PreTokenizers Metaspace(const JsonPart& part) {
  constexpr JsonWord<PrefixScheme> kSchemes[] = {
      {"always", PrefixScheme::kAlways},
      {"first", PrefixScheme::kFirst},
      {"never", PrefixScheme::kNever},
  };
  const JsonPart mark = part.Get("replacement");
  const std::string_view text = mark.Text();
  if (text.empty() || Utf8Size(text[0]) != text.size()) {
    mark.FailHere("is '{}'; expected one character", text);
  }
  PrefixScheme scheme = part.FlagOf("add_prefix_space", true)
                            ? PrefixScheme::kAlways
                            : PrefixScheme::kNever;
  if (const auto word = part.Find("prepend_scheme")) {
    scheme = ReadWord(*word, kSchemes);
  }
  return One<MetaspacePreTokenizer>(
      std::string(text), scheme,
      part.FlagOf("split", true) ? Words::kApart : Words::kTogether);
}

PreTokenizers Digits(const JsonPart& part) {
  return One<CharacterSplitter>(IsNumber,
                                part.FlagOf("individual_digits", false)
                                    ? SplitBehavior::kIsolated
                                    : SplitBehavior::kContiguous);
}

PreTokenizers Punctuation(const JsonPart& part) {
  SplitBehavior behavior = SplitBehavior::kIsolated;
  if (const auto word = part.Find("behavior")) {
    behavior = ReadWord(*word, kBehaviors);
  }
  return One<CharacterSplitter>(IsDelimiter, behavior);
}

PreTokenizers Bert(const JsonPart&) {
  PreTokenizers steps;
  Add<CharacterSplitter>(steps, IsSpace, SplitBehavior::kRemoved);
  Add<CharacterSplitter>(steps, IsDelimiter, SplitBehavior::kIsolated);
  return steps;
}

// Rust's \w, which joiners belong to.
PreTokenizers Whitespace(const JsonPart&) {
  constexpr char kWord[] = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d})";
  return One<RegexSplitter>(Regex(fmt::format("[{0}]+|[^{0}\\s]+", kWord)),
                            SplitBehavior::kRemoved, Sense::kBetween);
}

PreTokenizers FixedLength(const JsonPart& part) {
  const JsonPart length = part.Get("length");
  if (length.Int() < 1) {
    length.FailHere("is {}; expected at least 1", length.Int());
  }
  return One<LengthSplitter>(static_cast<size_t>(length.Int()));
}

constexpr JsonKind<PreTokenizers> kKinds[] = {
    {"Sequence", Sequence},
    {"ByteLevel", ByteLevel},
    {"Split", Split},
    {"Metaspace", Metaspace},
    {"Digits", Digits},
    {"Punctuation", Punctuation},
    {"BertPreTokenizer", Bert},
    {"Whitespace", Whitespace},
    {"WhitespaceSplit",
     [](const JsonPart&) {
       return One<CharacterSplitter>(IsSpace, SplitBehavior::kRemoved);
     }},
    {"CharDelimiterSplit",
     [](const JsonPart& part) {
       return One<RegexSplitter>(Regex::Literal(part.Get("delimiter").Text()),
                                 SplitBehavior::kRemoved);
     }},
    {"FixedLength", FixedLength},
};

}  // namespace

PreTokenizers ReadPreTokenizers(const JsonPart& part) {
  return ReadKind(part, kKinds);
}

}  // namespace tl
