// From tokens back to text: one class for each step that tokenizer.json and
// GGUF know. A tokenizer has a list of them; what is left is joined. Reading
// them from JSON is tokenizer_json_steps.cc.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"

namespace tl {

// Bytes that are no UTF-8: U+FFFD in their place, or as they are because more
// may come (detokenizer.h).
enum class WrongBytes { kReplace, kKeep };

class Decoder {
 public:
  using Tokens = std::vector<std::string>;

  virtual ~Decoder() = default;
  virtual void Apply(Tokens& tokens, WrongBytes wrong) const = 0;
};

using Decoders = std::vector<std::unique_ptr<Decoder>>;

class ByteLevelDecoder final : public Decoder {
 public:
  void Apply(Tokens& tokens, WrongBytes wrong) const override;
};

// How many U+FFFD a run of wrong byte tokens gives: one for each byte of the
// run, though some of it be right (`tokenizers`), or one for each byte that is
// wrong (SentencePiece).
enum class WrongRun { kWhole, kWrongPart };

// Tokens like <0x41> as the byte.
class ByteFallbackDecoder final : public Decoder {
 public:
  explicit ByteFallbackDecoder(WrongRun run) : run_(run) {}
  void Apply(Tokens& tokens, WrongBytes wrong) const override;

 private:
  std::string TextOf(const std::string& bytes, WrongBytes wrong) const;

  WrongRun run_;
};

class ReplaceDecoder final : public Decoder {
 public:
  ReplaceDecoder(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void Apply(Tokens& tokens, WrongBytes wrong) const override;

 private:
  Regex pattern_;
  std::string content_;
};

class FuseDecoder final : public Decoder {
 public:
  void Apply(Tokens& tokens, WrongBytes wrong) const override;
};

// Up to so many of a character from both ends of each token.
class StripDecoder final : public Decoder {
 public:
  StripDecoder(std::string character, size_t start, size_t stop)
      : character_(std::move(character)), start_(start), stop_(stop) {}
  void Apply(Tokens& tokens, WrongBytes wrong) const override;

 private:
  std::string character_;
  size_t start_;
  size_t stop_;
};

// Marks as blanks; at the beginning of the text, if it got one there, none.
enum class LeadingMark { kBlank, kDropped };

class MetaspaceDecoder final : public Decoder {
 public:
  MetaspaceDecoder(std::string mark, LeadingMark leading)
      : mark_(std::move(mark)), leading_(leading) {}
  void Apply(Tokens& tokens, WrongBytes wrong) const override;

 private:
  std::string mark_;
  LeadingMark leading_;
};

// Whether the blanks that cutting put before punctuation are taken out again.
enum class Cleanup { kNo, kYes };

class WordPieceDecoder final : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, Cleanup cleanup)
      : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void Apply(Tokens& tokens, WrongBytes wrong) const override;

 private:
  std::string prefix_;
  Cleanup cleanup_;
};

class BpeDecoder final : public Decoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  void Apply(Tokens& tokens, WrongBytes wrong) const override;

 private:
  std::string suffix_;
};

struct CtcOptions {
  std::string pad = "<pad>";
  std::string delimiter = "|";
  Cleanup cleanup = Cleanup::kYes;
};

// Speech models': repeated tokens are one, pads none.
class CtcDecoder final : public Decoder {
 public:
  explicit CtcDecoder(CtcOptions options) : options_(std::move(options)) {}
  void Apply(Tokens& tokens, WrongBytes wrong) const override;

 private:
  CtcOptions options_;
};

// Between words, where a tokenizer has no other decoder.
class BlankDecoder final : public Decoder {
 public:
  void Apply(Tokens& tokens, WrongBytes wrong) const override;
};

}  // namespace tl
