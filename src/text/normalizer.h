// What happens to a text before it is cut: one class for each step that
// tokenizer.json and GGUF know. A tokenizer has a list of them. Reading them
// from JSON is tokenizer_json_steps.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/charsmap.h"
#include "text/regex.h"
#include "text/unicode.h"

namespace tl {

// What stands for a blank in SentencePiece's tokens: U+2581.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // `text` is valid UTF-8, and so is the result.
  virtual std::string Apply(std::string text) const = 0;
};

using Normalizers = std::vector<std::unique_ptr<Normalizer>>;

class FormNormalizer final : public Normalizer {
 public:
  explicit FormNormalizer(NormalForm form) : form_(form) {}
  std::string Apply(std::string text) const override;

 private:
  NormalForm form_;
};

class LowercaseNormalizer final : public Normalizer {
 public:
  std::string Apply(std::string text) const override;
};

// Takes out all marks, which stand alone after a decomposition.
class StripAccentsNormalizer final : public Normalizer {
 public:
  std::string Apply(std::string text) const override;
};

struct StripSides {
  bool left = true;
  bool right = true;
};

class StripNormalizer final : public Normalizer {
 public:
  explicit StripNormalizer(StripSides sides) : sides_(sides) {}
  std::string Apply(std::string text) const override;

 private:
  StripSides sides_;
};

class ReplaceNormalizer final : public Normalizer {
 public:
  ReplaceNormalizer(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string Apply(std::string text) const override;

 private:
  Regex pattern_;
  std::string content_;
};

// Before every text that is not empty.
class PrependNormalizer final : public Normalizer {
 public:
  explicit PrependNormalizer(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string Apply(std::string text) const override;

 private:
  std::string prefix_;
};

// The control characters and blanks of SentencePiece's "nmt" rules.
class NmtNormalizer final : public Normalizer {
 public:
  std::string Apply(std::string text) const override;
};

class CharsmapNormalizer final : public Normalizer {
 public:
  explicit CharsmapNormalizer(Charsmap map) : map_(std::move(map)) {}
  std::string Apply(std::string text) const override;

 private:
  Charsmap map_;
};

// Each byte as the character that stands for it (byte_level.h).
class ByteLevelNormalizer final : public Normalizer {
 public:
  std::string Apply(std::string text) const override;
};

struct BertOptions {
  bool clean_text = true;
  bool ideographs = true;  // blanks around each
  bool lowercase = true;
  bool strip_accents = true;
};

class BertNormalizer final : public Normalizer {
 public:
  explicit BertNormalizer(BertOptions options) : options_(options) {}
  std::string Apply(std::string text) const override;

 private:
  BertOptions options_;
};

struct SentencePieceOptions {
  std::optional<Charsmap> map;
  bool prefix = true;  // U+2581 before the text
  bool remove_extra_spaces = true;
};

// What SentencePiece itself does: its table by longest keys, then blanks.
class SentencePieceNormalizer final : public Normalizer {
 public:
  explicit SentencePieceNormalizer(SentencePieceOptions options)
      : options_(std::move(options)) {}
  std::string Apply(std::string text) const override;

 private:
  // What the beginning of `text` becomes, and how many bytes that is.
  Charsmap::Match Step(std::string_view text) const;

  SentencePieceOptions options_;
};

}  // namespace tl
