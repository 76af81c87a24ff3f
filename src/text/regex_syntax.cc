// Oniguruma's syntax in PCRE2's.

#include <optional>

#include "base/error.h"
#include "text/regex.h"

namespace tl {
namespace {

// A class of characters that both call by one letter and mean differently, as
// the inside of [...].
struct Shorthand {
  char letter;
  std::string_view inside;
};

// PCRE2's \s has U+180E, its \w lacks marks, its \h is a blank. Oniguruma's \w
// has the fractions and small digits of Latin-1.
constexpr Shorthand kShorthands[] = {
    {'s', R"(\x09-\x0d\x{85}\p{Z})"},
    {'w', R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})"},
    {'d', R"(\p{Nd})"},
    {'h', "0-9A-Fa-f"},
};

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string Run() {
    while (!AtEnd()) {
      if (Peek() == '[') {
        out_ += Class();
      } else if (Peek() == '\\') {
        out_ += Escape(/*in_class=*/false);
      } else {
        out_ += Take();
      }
    }
    return std::move(out_);
  }

 private:
  bool AtEnd() const { return at_ == pattern_.size(); }
  char Peek() const { return pattern_[at_]; }
  char Take() { return pattern_[at_++]; }
  bool Ahead(std::string_view what) const {
    return pattern_.substr(at_).starts_with(what);
  }

  [[noreturn]] void FailHere(std::string_view what) const {
    Fail(ErrorKind::kInput, "the pattern '{}' has {} at byte {}", pattern_,
         what, at_);
  }

  static const Shorthand* FindShorthand(char letter) {
    for (const Shorthand& row : kShorthands) {
      if (row.letter == letter) return &row;
    }
    return nullptr;
  }

  std::string Escape(bool in_class) {
    if (at_ + 1 == pattern_.size()) FailHere("a lonely backslash");
    const char letter = pattern_[at_ + 1];
    if (letter == 'p' || letter == 'P') return Property();
    if (letter == 'u') return CodePoint();
    at_ += 2;
    if (const Shorthand* row = FindShorthand(letter)) {
      return in_class ? std::string(row->inside)
                      : fmt::format("[{}]", row->inside);
    }
    const char small = static_cast<char>(letter | 0x20);
    if (const Shorthand* row = FindShorthand(small)) {
      if (in_class) return Complement(small);
      return fmt::format("[^{}]", row->inside);
    }
    return {'\\', letter};
  }

  // Of a shorthand inside [...], where PCRE2 takes no complement of a set of
  // several things.
  std::string Complement(char letter) {
    if (letter == 'd') return R"(\P{Nd})";
    if (letter == 's')
      return R"(\x00-\x08\x0e-\x1f\x21-\x{84}\x{86}-\x{9f})"
             R"(\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-)"
             R"(\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e})"
             R"(\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";
    FailHere(fmt::format("\\{} in a class, which is not supported",
                         static_cast<char>(letter & ~0x20)));
  }

  // \p{Han} is the script itself; PCRE2 would take in whatever is used in it.
  std::string Property() {
    const size_t start = at_;
    at_ += 2;
    if (AtEnd() || Peek() != '{') {
      if (!AtEnd()) ++at_;
      return std::string(pattern_.substr(start, at_ - start));
    }
    const size_t end = pattern_.find('}', at_);
    if (end == std::string_view::npos) FailHere("a property without an end");
    std::string_view name = pattern_.substr(at_ + 1, end - at_ - 1);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    at_ = end + 1;
    std::string property = "\\";
    property += (pattern_[start + 1] == 'P') != negated ? 'P' : 'p';
    if (IsScript(name)) return property + fmt::format("{{sc:{}}}", name);
    return property + fmt::format("{{{}}}", name);
  }

  static bool IsScript(std::string_view name) {
    constexpr std::string_view kScripts[] = {
        "Han",     "Hiragana", "Katakana", "Hangul", "Latin",    "Cyrillic",
        "Arabic",  "Hebrew",   "Thai",     "Greek",  "Bopomofo", "Devanagari",
        "Bengali", "Tamil",    "Telugu",   "Lao",    "Khmer",    "Myanmar"};
    for (std::string_view script : kScripts) {
      if (script == name) return true;
    }
    return false;
  }

  std::string CodePoint() {
    const std::string_view digits = pattern_.substr(at_ + 2, 4);
    if (digits.size() < 4) FailHere("\\u without four digits");
    at_ += 6;
    return fmt::format("\\x{{{}}}", digits);
  }

  // [...], [^...], and [A&&[^B]] as "A, if no B".
  std::string Class() {
    ++at_;
    std::string inside;
    if (!AtEnd() && Peek() == '^') inside += Take();
    if (!AtEnd() && Peek() == ']') {
      ++at_;
      inside += "\\]";
    }
    while (true) {
      if (AtEnd()) FailHere("a class without an end");
      if (Peek() == ']') break;
      if (Ahead("&&[^")) return WithoutClass(inside);
      if (Ahead("&&")) FailHere("an intersection that is not supported");
      if (Ahead("[:")) {
        inside += Posix();
      } else if (Peek() == '[') {
        inside += Nested();
      } else if (Peek() == '\\') {
        inside += Escape(/*in_class=*/true);
      } else {
        inside += Take();
      }
    }
    ++at_;
    return fmt::format("[{}]", inside);
  }

  // What [a[b]] has besides: the same as if it stood there without brackets.
  std::string Nested() {
    const size_t start = at_;
    const std::string nested = Class();
    if (nested.starts_with("[^") || !nested.starts_with('[')) {
      at_ = start;
      FailHere("a class in a class that is not supported");
    }
    return nested.substr(1, nested.size() - 2);
  }

  std::string WithoutClass(const std::string& inside) {
    at_ += 2;
    const std::string excluded = Class();
    if (AtEnd() || Peek() != ']') {
      FailHere("an intersection that is not supported");
    }
    ++at_;
    // `excluded` is "[^B]".
    return fmt::format(
        "(?:(?![{}])[{}])",
        std::string_view(excluded).substr(2, excluded.size() - 3), inside);
  }

  std::string Posix() {
    const size_t end = pattern_.find(":]", at_);
    if (end == std::string_view::npos) FailHere("a class without an end");
    const std::string name(pattern_.substr(at_, end + 2 - at_));
    at_ = end + 2;
    return name;
  }

  std::string_view pattern_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string ToPcre(std::string_view pattern) {
  return Translator(pattern).Run();
}

}  // namespace tl
