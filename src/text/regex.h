// Regular expressions as tokenizer files write them (Oniguruma's syntax, or
// Rust's), run by PCRE2 on valid UTF-8. What the two mean differently is
// translated; what cannot be is refused by name.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tl {

// A piece of a text, by its bytes; `matched`: by the pattern.
struct TextSpan {
  size_t begin;
  size_t end;
  bool matched;

  friend bool operator==(const TextSpan&, const TextSpan&) = default;
};

class Regex {
 public:
  // Fails for a pattern that is none.
  explicit Regex(std::string_view pattern);
  // That matches exactly `text`.
  static Regex Literal(std::string_view text);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  // The whole text as matches and what stands between them, in order. A match
  // may be empty. Fails where the matching exceeds PCRE2's bounds of work.
  std::vector<TextSpan> Cut(std::string_view text) const;

 private:
  struct Compiled;
  Regex(std::string_view pattern, std::string_view translated);

  std::unique_ptr<Compiled> compiled_;
};

// The pattern in PCRE2's syntax.
std::string ToPcre(std::string_view pattern);

}  // namespace tl
