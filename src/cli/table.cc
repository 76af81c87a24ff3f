#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/printable.h"
#include "base/utf8.h"

namespace tl {
namespace {

constexpr size_t kGap = 2;

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= 0x20 && c < 0x7F; });
}

size_t WidthOf(std::string_view cell) {
  return IsPlain(cell) ? cell.size() : CountCharacters(cell);
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (const Column& column : columns_) widths_.push_back(column.title.size());
}

void Table::AddRow(const std::vector<std::string>& cells) {
  for (size_t i = 0; i < cells.size(); ++i) {
    const size_t width = WidthOf(cells[i]);
    if (width <= kMaxWidth) widths_[i] = std::max(widths_[i], width);
    cells_ += cells[i];
    ends_.push_back(cells_.size());
  }
}

std::string Table::ToString() const {
  size_t line = 1;
  for (size_t width : widths_) line += width + kGap;
  std::string text;
  text.reserve(line * (ends_.size() / columns_.size() + 1));
  const auto add_cell = [&](std::string_view cell, size_t i) {
    const size_t width = WidthOf(cell);
    const size_t blanks = widths_[i] - std::min(widths_[i], width);
    if (columns_[i].align == Align::kRight) text.append(blanks, ' ');
    text += cell;
    if (i + 1 < columns_.size()) {
      if (columns_[i].align == Align::kLeft) text.append(blanks, ' ');
      text.append(kGap, ' ');
      return;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  };
  for (size_t i = 0; i < columns_.size(); ++i) add_cell(columns_[i].title, i);
  size_t begin = 0;
  for (size_t i = 0; i < ends_.size(); ++i) {
    add_cell(std::string_view(cells_).substr(begin, ends_[i] - begin),
             i % columns_.size());
    begin = ends_[i];
  }
  return text;
}

std::string PrintableCut(std::string_view text, size_t limit) {
  size_t bytes = 0;
  for (size_t i = 0; i < limit && bytes < text.size(); ++i) {
    bytes += FirstCharacter(text.substr(bytes)).bytes;
  }
  if (bytes == text.size()) return Printable(text);
  return fmt::format("{}... ({} characters)", Printable(text.substr(0, bytes)),
                     CountCharacters(text));
}

std::string WithSeparators(int64_t number) {
  std::string text = std::to_string(number);
  const size_t first = number < 0 ? 1 : 0;
  for (size_t at = text.size(); at > first + 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string ShortCount(int64_t number) {
  constexpr std::string_view kUnits[] = {"", " K", " M", " B", " T"};
  double value = static_cast<double>(number);
  size_t unit = 0;
  while (value >= 999.5 && unit < 4) value /= 1000, ++unit;
  if (unit == 0) return std::to_string(number);
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", value, decimals, kUnits[unit]);
}

}  // namespace tl
