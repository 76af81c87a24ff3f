// Faults in a program's text: collected while parsing and checking go on, then
// shown together. Run-time errors are base/error.h.
// A message is `what; what was expected`, lower case, the user's names in
// single quotes, no full stop.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lang/source.h"

namespace tl {

enum class Severity { kError, kWarning, kNote };

struct Diagnostic {
  Severity severity = Severity::kError;
  Span span;
  std::string message;
  std::string hint;               // may be empty
  std::vector<Diagnostic> notes;  // other places that matter, kNote
};

class Diagnostics {
 public:
  // More than a person reads; also where the parser gives up on a text that is
  // no program.
  static constexpr size_t kMaxErrors = 100;

  void Error(Span span, std::string message, std::string hint = "");
  void Warning(Span span, std::string message, std::string hint = "");
  // Belongs to the fault reported last.
  void Note(Span span, std::string message);

  // Takes over all that another one found.
  void Append(const Diagnostics& other);

  size_t errors() const { return errors_; }
  bool full() const { return errors_ >= kMaxErrors; }
  // In the order of the text.
  std::vector<Diagnostic> Sorted() const;

 private:
  void Add(Severity severity, Span span, std::string message, std::string hint);

  std::vector<Diagnostic> found_;
  size_t errors_ = 0;
};

// One fault as it is shown, ending in a newline:
//   mlp.tl:7:13: error: unknown name 'wieghts'
//     let y = x @ wieghts
//                 ^~~~~~~
//     hint: did you mean 'weights'?
std::string Render(const Diagnostic& diagnostic, const Sources& sources);

// All of them in order; past kMaxShown only how many more there are.
std::string Render(const Diagnostics& diagnostics, const Sources& sources);
inline constexpr size_t kMaxShown = 20;

// "x" of `candidates` if it is close enough to be what was meant, else "".
std::string NearestName(std::string_view name,
                        std::span<const std::string_view> candidates);

}  // namespace tl
