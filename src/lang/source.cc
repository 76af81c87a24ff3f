#include "lang/source.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace tl {

Source::Source(uint32_t id, std::string name, std::string text)
    : id_(id), name_(std::move(name)), text_(std::move(text)) {
  if (text_.size() > kMaxBytes) {
    Fail(ErrorKind::kProgram, "{}: a program of {} bytes; at most {} fit",
         name_, text_.size(), kMaxBytes);
  }
  line_begins_.push_back(0);
  for (size_t i = text_.find('\n'); i != std::string::npos;
       i = text_.find('\n', i + 1)) {
    line_begins_.push_back(static_cast<uint32_t>(i + 1));
  }
}

std::string_view Source::Text(Span span) const {
  return text().substr(span.begin, span.end - span.begin);
}

Span Source::End() const {
  uint32_t size = static_cast<uint32_t>(text_.size());
  return {id_, size, size};
}

TextPosition Source::PositionOf(uint32_t offset) const {
  auto next =
      std::upper_bound(line_begins_.begin(), line_begins_.end(), offset);
  uint32_t line = static_cast<uint32_t>(next - line_begins_.begin());
  uint32_t begin = LineBegin(line);
  size_t before = CountCharacters(text().substr(begin, offset - begin));
  return {line, static_cast<uint32_t>(before + 1)};
}

std::string_view Source::Line(uint32_t line) const {
  uint32_t begin = LineBegin(line);
  size_t end =
      line < line_begins_.size() ? line_begins_[line] - 1 : text_.size();
  std::string_view found = text().substr(begin, end - begin);
  if (found.ends_with('\r')) found.remove_suffix(1);
  return found;
}

const Source& Sources::Add(std::string name, std::string text) {
  auto source =
      std::make_unique<Source>(next_id_, std::move(name), std::move(text));
  return *(sources_[next_id_++] = std::move(source));
}

std::string Sources::Where(Span span) const {
  const Source& source = Get(span);
  TextPosition position = source.PositionOf(span.begin);
  return fmt::format("{}:{}:{}", source.name(), position.line, position.column);
}

}  // namespace tl
