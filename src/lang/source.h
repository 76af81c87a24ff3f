// The text of a program: files (or REPL entries) by number, and spans in them.
// Owns the bytes for as long as anything may point at them. Knows nothing of
// tokens. Read next: diagnostics.h, lexer.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tl {

// Bytes [begin, end) of one source.
struct Span {
  uint32_t source = 0;
  uint32_t begin = 0;
  uint32_t end = 0;

  bool operator==(const Span&) const = default;
};

// From the beginning of `first` to the end of `last`; both of one source.
inline Span Join(Span first, Span last) {
  return {first.source, first.begin, last.end};
}

// Both count from 1; a column is a character (a UTF-8 code point), and a byte
// that is not UTF-8 is one column.
struct TextPosition {
  uint32_t line = 1;
  uint32_t column = 1;
};

class Source {
 public:
  // Offsets are 32 bits wide, and a program that does not fit 1 GiB is not one
  // somebody wrote.
  static constexpr size_t kMaxBytes = size_t{1} << 30;

  // Fails (ErrorKind::kProgram) on a text longer than kMaxBytes.
  Source(uint32_t id, std::string name, std::string text);

  uint32_t id() const { return id_; }
  const std::string& name() const { return name_; }  // as shown in messages
  std::string_view text() const { return text_; }
  std::string_view Text(Span span) const;
  Span End() const;

  TextPosition PositionOf(uint32_t offset) const;
  // The line without its newline; lines count from 1.
  std::string_view Line(uint32_t line) const;
  uint32_t LineBegin(uint32_t line) const { return line_begins_[line - 1]; }

 private:
  uint32_t id_;
  std::string name_;
  std::string text_;
  std::vector<uint32_t> line_begins_;
};

// All sources of one run. Addresses stay valid until they are dropped.
class Sources {
 public:
  const Source& Add(std::string name, std::string text);
  const Source& Get(uint32_t id) const { return *sources_.at(id); }
  const Source& Get(Span span) const { return Get(span.source); }
  // Of the next source. Numbers are not given again.
  uint32_t next_id() const { return next_id_; }
  // When nothing speaks of any place in it any more.
  void Drop(uint32_t id) { sources_.erase(id); }
  // "file:line:col" of the beginning of the span.
  std::string Where(Span span) const;

 private:
  std::unordered_map<uint32_t, std::unique_ptr<Source>> sources_;
  uint32_t next_id_ = 0;
};

}  // namespace tl
