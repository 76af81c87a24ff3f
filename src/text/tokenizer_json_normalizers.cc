#include "text/base64.h"
#include "text/tokenizer_json_steps.h"

namespace tl {
namespace {

template <class Step, class... Args>
Normalizers One(Args&&... args) {
  Normalizers steps;
  steps.push_back(std::make_unique<Step>(std::forward<Args>(args)...));
  return steps;
}

Normalizers Sequence(const JsonPart& part) {
  Normalizers steps;
  for (const JsonPart& item : part.Get("normalizers").Items()) {
    for (auto& step : ReadNormalizers(item)) steps.push_back(std::move(step));
  }
  return steps;
}

// Accents go where letters become small ones, unless the file says otherwise.
Normalizers Bert(const JsonPart& part) {
  BertOptions options;
  options.clean_text = part.FlagOf("clean_text", true);
  options.ideographs = part.FlagOf("handle_chinese_chars", true);
  options.lowercase = part.FlagOf("lowercase", true);
  options.strip_accents = part.FlagOf("strip_accents", options.lowercase);
  return One<BertNormalizer>(options);
}

Normalizers Strip(const JsonPart& part) {
  StripSides sides;
  sides.left = part.FlagOf("strip_left", true);
  sides.right = part.FlagOf("strip_right", true);
  return One<StripNormalizer>(sides);
}

Normalizers Precompiled(const JsonPart& part) {
  const JsonPart map = part.Get("precompiled_charsmap");
  const auto bytes = DecodeBase64(map.Text());
  if (!bytes) map.FailHere("is not base64");
  return WithNote([&] { return One<CharsmapNormalizer>(Charsmap(*bytes)); },
                  [&] { return "while reading " + map.path(); });
}

constexpr JsonKind<Normalizers> kKinds[] = {
    {"Sequence", Sequence},
    {"BertNormalizer", Bert},
    {"Lowercase", [](const JsonPart&) { return One<LowercaseNormalizer>(); }},
    {"NFC",
     [](const JsonPart&) { return One<FormNormalizer>(NormalForm::kNFC); }},
    {"NFD",
     [](const JsonPart&) { return One<FormNormalizer>(NormalForm::kNFD); }},
    {"NFKC",
     [](const JsonPart&) { return One<FormNormalizer>(NormalForm::kNFKC); }},
    {"NFKD",
     [](const JsonPart&) { return One<FormNormalizer>(NormalForm::kNFKD); }},
    {"StripAccents",
     [](const JsonPart&) { return One<StripAccentsNormalizer>(); }},
    {"Strip", Strip},
    {"Replace",
     [](const JsonPart& part) {
       return One<ReplaceNormalizer>(ReadPattern(part.Get("pattern")),
                                     std::string(part.Get("content").Text()));
     }},
    {"Prepend",
     [](const JsonPart& part) {
       return One<PrependNormalizer>(std::string(part.Get("prepend").Text()));
     }},
    {"Nmt", [](const JsonPart&) { return One<NmtNormalizer>(); }},
    {"ByteLevel", [](const JsonPart&) { return One<ByteLevelNormalizer>(); }},
    {"Precompiled", Precompiled},
};

}  // namespace

Regex ReadPattern(const JsonPart& part) {
  if (part.value().is_string()) return Regex::Literal(part.Text());
  if (const auto text = part.Find("String")) {
    return Regex::Literal(text->Text());
  }
  const JsonPart regex = part.Get("Regex");
  return WithNote([&] { return Regex(regex.Text()); },
                  [&] { return "while reading " + regex.path(); });
}

Normalizers ReadNormalizers(const JsonPart& part) {
  return ReadKind(part, kKinds);
}

}  // namespace tl
