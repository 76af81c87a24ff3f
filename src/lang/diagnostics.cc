#include "lang/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace tl {
namespace {

// A line longer than this is cut around the caret.
constexpr size_t kMaxWidth = 100;
// How much of a cut line is shown before the caret.
constexpr size_t kWidthBefore = 40;
constexpr std::string_view kCut = "...";

// One character of the source as the terminal will show it.
struct Cell {
  std::string text;
  size_t width = 1;
  uint32_t begin = 0;  // byte in the line
};

bool IsInvisible(uint32_t code) {
  // Marks that turn the direction of text can make a line read as what it does
  // not say.
  return code < 0x20 || (code >= 0x7F && code < 0xA0) ||
         (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF;
}

bool IsCombining(uint32_t code) {
  return (code >= 0x300 && code <= 0x36F) || (code >= 0xFE00 && code <= 0xFE0F);
}

// East Asian wide characters and emoji take two columns.
bool IsWide(uint32_t code) {
  return (code >= 0x1100 && code <= 0x115F) ||
         (code >= 0x2E80 && code <= 0xA4CF) ||
         (code >= 0xAC00 && code <= 0xD7A3) ||
         (code >= 0xF900 && code <= 0xFAFF) ||
         (code >= 0xFE30 && code <= 0xFE6F) ||
         (code >= 0xFF00 && code <= 0xFF60) ||
         (code >= 0xFFE0 && code <= 0xFFE6) ||
         (code >= 0x1F300 && code <= 0x1F64F) ||
         (code >= 0x1F900 && code <= 0x1F9FF) ||
         (code >= 0x20000 && code <= 0x3FFFD);
}

Cell CellOf(std::string_view rest, uint32_t begin) {
  Utf8Character character = FirstCharacter(rest);
  auto escaped = [begin](std::string text) {
    size_t width = text.size();
    return Cell{std::move(text), width, begin};
  };
  if (!character.valid)
    return escaped(fmt::format("\\x{:02x}", character.code));
  if (character.code == '\t') return escaped("    ");
  if (IsInvisible(character.code)) {
    return escaped(character.code < 0x100
                       ? fmt::format("\\x{:02x}", character.code)
                       : fmt::format("\\u{{{:x}}}", character.code));
  }
  Cell cell{std::string(rest.substr(0, character.bytes)), 1, begin};
  if (IsCombining(character.code)) cell.width = 0;
  if (IsWide(character.code)) cell.width = 2;
  return cell;
}

// A message as the terminal will show it: names in it may be of any length, and
// those of a model file may hold any byte.
std::string Printable(std::string_view message) {
  constexpr size_t kMaxCharacters = 500;
  std::string shown;
  for (size_t count = 0; !message.empty(); ++count) {
    if (count == kMaxCharacters) return shown.append(kCut);
    shown += CellOf(message, 0).text;
    message.remove_prefix(FirstCharacter(message).bytes);
  }
  return shown;
}

// Where in `line` to begin showing it so that byte `caret` is seen.
size_t FirstShown(std::string_view line, size_t caret) {
  if (line.size() <= kMaxWidth || caret <= kWidthBefore) return 0;
  size_t first = std::min(caret - kWidthBefore, line.size() - 1);
  // Not in the middle of a character.
  for (int i = 0; i < 3 && first > 0; ++i) {
    if ((static_cast<unsigned char>(line[first]) & 0xC0) != 0x80) break;
    --first;
  }
  return first;
}

// The line and the carets under bytes [begin, end) of it.
std::string RenderLine(std::string_view line, size_t begin, size_t end) {
  end = std::max(end, begin + 1);
  size_t at = FirstShown(line, begin);
  std::string shown = at > 0 ? std::string(kCut) : "";
  std::string marks(shown.size(), ' ');
  size_t width = shown.size();
  while (at < line.size()) {
    Cell cell = CellOf(line.substr(at), static_cast<uint32_t>(at));
    if (width + cell.width > kMaxWidth) {
      shown += kCut;
      break;
    }
    bool marked = at >= begin && at < end;
    marks.append(cell.width, !marked ? ' ' : at == begin ? '^' : '~');
    if (at == begin && cell.width > 1) {
      std::fill(marks.end() - (cell.width - 1), marks.end(), '~');
    }
    shown += cell.text;
    width += cell.width;
    at += FirstCharacter(line.substr(at)).bytes;
  }
  if (begin >= at) marks += '^';  // at the end of the line
  marks.erase(marks.find_last_not_of(' ') + 1);
  return fmt::format("  {}\n  {}\n", shown, marks);
}

std::string_view NameOf(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "";
}

// Changes (insert, remove, replace, swap neighbours) from a to b.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1),
      row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      bool swapped =
          i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

void Diagnostics::Error(Span span, std::string message, std::string hint) {
  ++errors_;
  if (errors_ > kMaxErrors) return;
  Add(Severity::kError, span, std::move(message), std::move(hint));
}

void Diagnostics::Warning(Span span, std::string message, std::string hint) {
  Add(Severity::kWarning, span, std::move(message), std::move(hint));
}

void Diagnostics::Note(Span span, std::string message) {
  if (found_.empty() || errors_ > kMaxErrors) return;
  found_.back().notes.push_back(
      {Severity::kNote, span, std::move(message), "", {}});
}

void Diagnostics::Add(Severity severity, Span span, std::string message,
                      std::string hint) {
  found_.push_back({severity, span, std::move(message), std::move(hint), {}});
}

void Diagnostics::Append(const Diagnostics& other) {
  found_.insert(found_.end(), other.found_.begin(), other.found_.end());
  errors_ += other.errors_;
}

std::vector<Diagnostic> Diagnostics::Sorted() const {
  std::vector<Diagnostic> sorted = found_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Diagnostic& a, const Diagnostic& b) {
                     return std::pair(a.span.source, a.span.begin) <
                            std::pair(b.span.source, b.span.begin);
                   });
  return sorted;
}

std::string Render(const Diagnostic& diagnostic, const Sources& sources) {
  const Source& source = sources.Get(diagnostic.span);
  uint32_t number = source.PositionOf(diagnostic.span.begin).line;
  std::string_view line = source.Line(number);
  size_t begin = diagnostic.span.begin - source.LineBegin(number);
  size_t end = diagnostic.span.end - source.LineBegin(number);
  std::string text =
      fmt::format("{}: {}: {}\n{}", sources.Where(diagnostic.span),
                  NameOf(diagnostic.severity), Printable(diagnostic.message),
                  RenderLine(line, begin, end));
  if (!diagnostic.hint.empty()) {
    text += fmt::format("  hint: {}\n", Printable(diagnostic.hint));
  }
  for (const Diagnostic& note : diagnostic.notes) text += Render(note, sources);
  return text;
}

std::string Render(const Diagnostics& diagnostics, const Sources& sources) {
  std::vector<Diagnostic> sorted = diagnostics.Sorted();
  std::string text;
  size_t errors_shown = 0;
  size_t shown = std::min(sorted.size(), kMaxShown);
  for (size_t i = 0; i < shown; ++i) {
    text += Render(sorted[i], sources);
    if (sorted[i].severity == Severity::kError) ++errors_shown;
  }
  if (sorted.size() > shown) {
    size_t errors = diagnostics.errors() - errors_shown;
    text += errors > 0
                ? fmt::format("and {} more errors\n", errors)
                : fmt::format("and {} more warnings\n", sorted.size() - shown);
  }
  return text;
}

std::string NearestName(std::string_view name,
                        std::span<const std::string_view> candidates) {
  // A third of the letters may be wrong; more is another word.
  size_t best = std::max<size_t>(1, name.size() / 3) + 1;
  std::string_view nearest;
  for (std::string_view candidate : candidates) {
    size_t longer = std::max(name.size(), candidate.size());
    size_t shorter = std::min(name.size(), candidate.size());
    if (longer - shorter >= best) continue;
    size_t distance = EditDistance(name, candidate);
    if (distance >= best || distance >= shorter) continue;
    best = distance;
    nearest = candidate;
  }
  return std::string(nearest);
}

}  // namespace tl
