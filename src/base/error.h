// Run-time errors: one exception type with a kind, a text and notes.
// A text names what was wrong with its numbers, in lower case, without a full
// stop; notes are added on the way up ("while reading tensor 'w1' of 'm.gguf'")
// and the only catch that prints is in cli/main.cc. Errors in a program's text
// are not thrown: see lang/diagnostics.h.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tl {

// The values are the process's exit codes.
enum class ErrorKind {
  kUsage = 64,     // wrong command line
  kProgram = 65,   // the .tl program is wrong, or an assert failed
  kInput = 66,     // a file cannot be read, or its content is wrong
  kInternal = 70,  // out of memory, a device failed, or our own bug
};

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string text) : kind_(kind), text_(std::move(text)) {}

  ErrorKind kind() const { return kind_; }
  const std::string& text() const { return text_; }
  const std::vector<std::string>& notes() const { return notes_; }
  const char* what() const noexcept override { return text_.c_str(); }

  void AddNote(std::string note) { notes_.push_back(std::move(note)); }

 private:
  ErrorKind kind_;
  std::string text_;
  std::vector<std::string> notes_;
};

// Throws an Error: Fail(ErrorKind::kInput, "{}: {} bytes, expected {}", ...).
template <class... Args>
[[noreturn]] void Fail(ErrorKind kind, fmt::format_string<Args...> text,
                       Args&&... args) {
  throw Error(kind, fmt::format(text, std::forward<Args>(args)...));
}

// Runs f(); an Error passing through gets the note made by note().
template <class F, class N>
decltype(auto) WithNote(F&& f, N&& note) {
  try {
    return std::forward<F>(f)();
  } catch (Error& error) {
    error.AddNote(std::forward<N>(note)());
    throw;
  }
}

}  // namespace tl
