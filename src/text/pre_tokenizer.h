// What cuts a normalised text into words, the most that a token can be: one
// class for each kind of step. A tokenizer has a list of them. Reading them
// from JSON is tokenizer_json_steps.cc.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/pieces.h"
#include "text/regex.h"

namespace tl {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual Pieces Apply(const Pieces& pieces) const = 0;
};

using PreTokenizers = std::vector<std::unique_ptr<PreTokenizer>>;

// What becomes of the matches when a text is cut at them.
enum class SplitBehavior {
  kRemoved,
  kIsolated,            // each is a piece
  kMergedWithPrevious,  // each goes to the piece before
  kMergedWithNext,
  kContiguous,  // matches that touch are one piece
};

// Joins the spans of a text into pieces as `behavior` says; those to be removed
// are left out.
std::vector<TextSpan> Arrange(std::vector<TextSpan> spans,
                              SplitBehavior behavior);

// Cuts at what it finds; derived classes say what that is.
class Splitter : public PreTokenizer {
 public:
  explicit Splitter(SplitBehavior behavior) : behavior_(behavior) {}
  Pieces Apply(const Pieces& pieces) const final;

 protected:
  virtual std::vector<TextSpan> Find(std::string_view piece) const = 0;

 private:
  SplitBehavior behavior_;
};

enum class Sense { kMatches, kBetween };

class RegexSplitter final : public Splitter {
 public:
  // kBetween: what the pattern does not match counts as matched.
  RegexSplitter(Regex pattern, SplitBehavior behavior,
                Sense sense = Sense::kMatches)
      : Splitter(behavior), pattern_(std::move(pattern)), sense_(sense) {}

 protected:
  std::vector<TextSpan> Find(std::string_view piece) const override;

 private:
  Regex pattern_;
  Sense sense_;
};

// Each character of a class is a match of its own.
class CharacterSplitter final : public Splitter {
 public:
  using Class = bool (*)(char32_t);
  CharacterSplitter(Class wanted, SplitBehavior behavior)
      : Splitter(behavior), wanted_(wanted) {}

 protected:
  std::vector<TextSpan> Find(std::string_view piece) const override;

 private:
  Class wanted_;
};

// Punctuation of any script and all of ASCII's.
bool IsDelimiter(char32_t c);

// Pieces of so many characters.
class LengthSplitter final : public PreTokenizer {
 public:
  explicit LengthSplitter(size_t length) : length_(length) {}
  Pieces Apply(const Pieces& pieces) const override;

 private:
  size_t length_;
};

// Where a piece gets the mark of a blank at its beginning.
enum class PrefixScheme { kNever, kFirst, kAlways };
// Whether the words are pieces.
enum class Words { kTogether, kApart };

class MetaspacePreTokenizer final : public PreTokenizer {
 public:
  MetaspacePreTokenizer(std::string mark, PrefixScheme scheme, Words words)
      : mark_(std::move(mark)), scheme_(scheme), words_(words) {}
  Pieces Apply(const Pieces& pieces) const override;

 private:
  std::string Marked(std::string_view piece, PrefixScheme scheme) const;
  void AddWords(std::string_view piece, Pieces& out) const;

  std::string mark_;
  PrefixScheme scheme_;
  Words words_;
};

// A blank before each piece that has none: ByteLevel's add_prefix_space.
class SpacePrefixer final : public PreTokenizer {
 public:
  Pieces Apply(const Pieces& pieces) const override;
};

// Bytes as characters (byte_level.h).
class ByteLevelPreTokenizer final : public PreTokenizer {
 public:
  Pieces Apply(const Pieces& pieces) const override;
};

// How GPT-2 cuts texts, and ByteLevel unless told otherwise.
extern const char kGpt2Pattern[];

}  // namespace tl
