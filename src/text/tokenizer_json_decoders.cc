#include "text/tokenizer_json_steps.h"
#include "text/utf8.h"

namespace tl {
namespace {

template <class Step, class... Args>
Decoders One(Args&&... args) {
  Decoders steps;
  steps.push_back(std::make_unique<Step>(std::forward<Args>(args)...));
  return steps;
}

Decoders Sequence(const JsonPart& part) {
  Decoders steps;
  for (const JsonPart& item : part.Get("decoders").Items()) {
    for (auto& step : ReadDecoders(item)) steps.push_back(std::move(step));
  }
  return steps;
}

Cleanup CleanupOf(const JsonPart& part) {
  return part.FlagOf("cleanup", true) ? Cleanup::kYes : Cleanup::kNo;
}

Decoders Metaspace(const JsonPart& part) {
  const bool never = part.TextOf("prepend_scheme", "always") == "never" ||
                     !part.FlagOf("add_prefix_space", true);
  return One<MetaspaceDecoder>(
      std::string(part.Get("replacement").Text()),
      never ? LeadingMark::kBlank : LeadingMark::kDropped);
}

size_t CountOf(const JsonPart& part, std::string_view key) {
  const JsonPart count = part.Get(key);
  if (count.Int() < 0)
    count.FailHere("is {}; expected at least 0", count.Int());
  return static_cast<size_t>(count.Int());
}

Decoders Strip(const JsonPart& part) {
  const JsonPart content = part.Get("content");
  if (content.Text().empty()) content.FailHere("is empty");
  return One<StripDecoder>(std::string(content.Text()), CountOf(part, "start"),
                           CountOf(part, "stop"));
}

Decoders Ctc(const JsonPart& part) {
  CtcOptions options;
  options.pad = part.TextOf("pad_token", options.pad);
  options.delimiter = part.TextOf("word_delimiter_token", options.delimiter);
  options.cleanup = CleanupOf(part);
  return One<CtcDecoder>(options);
}

constexpr JsonKind<Decoders> kKinds[] = {
    {"Sequence", Sequence},
    {"ByteLevel", [](const JsonPart&) { return One<ByteLevelDecoder>(); }},
    {"ByteFallback",
     [](const JsonPart&) {
       return One<ByteFallbackDecoder>(WrongRun::kWhole);
     }},
    {"Metaspace", Metaspace},
    {"WordPiece",
     [](const JsonPart& part) {
       return One<WordPieceDecoder>(part.TextOf("prefix", "##"),
                                    CleanupOf(part));
     }},
    {"BPEDecoder",
     [](const JsonPart& part) {
       return One<BpeDecoder>(part.TextOf("suffix", "</w>"));
     }},
    {"Replace",
     [](const JsonPart& part) {
       return One<ReplaceDecoder>(ReadPattern(part.Get("pattern")),
                                  std::string(part.Get("content").Text()));
     }},
    {"Fuse", [](const JsonPart&) { return One<FuseDecoder>(); }},
    {"Strip", Strip},
    {"CTC", Ctc},
};

}  // namespace

Decoders ReadDecoders(const JsonPart& part) { return ReadKind(part, kKinds); }

}  // namespace tl
