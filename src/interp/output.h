// Standard output of the program: one buffer, written when it is full, when
// the program reads input, at its end, and on a terminal at each newline.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace tl {

class Output {
 public:
  using Sink = std::function<void(std::string_view)>;

  // To a file descriptor. Fails (kInternal) if it cannot be written. With
  // `escapes`, where strangers decide what is written, control characters do not
  // reach a terminal: they are shown (base/printable.h). Elsewhere all bytes do.
  explicit Output(int descriptor, bool escapes = false);
  // To a function, at once: for tests and for who shows output elsewhere.
  explicit Output(Sink sink);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void Write(std::string_view text);
  void Flush();

  // A message for standard error, which is never data.
  std::string Message(std::string text) const;

 private:
  Sink sink_;
  std::string buffer_;
  bool at_once_;
  bool at_terminal_ = false;
  bool escapes_ = false;
};

}  // namespace tl
