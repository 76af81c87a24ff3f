// Rows of text in aligned columns, and text made fit to be a cell of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tl {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns);

  // One cell for each column.
  void AddRow(const std::vector<std::string>& cells);

  // A line of titles, then the rows. A cell wider than kMaxWidth pushes the
  // rest of its line to the right instead of widening its column.
  std::string ToString() const;
  static constexpr size_t kMaxWidth = 64;

 private:
  std::vector<Column> columns_;
  std::vector<size_t> widths_;
  // The cells of all rows, one behind the other, and where each ends: models
  // with 100,000 tensors are listed in a blink.
  std::string cells_;
  std::vector<size_t> ends_;
};

// Printable (base/printable.h), with all beyond `limit` characters replaced by how
// many there are.
std::string PrintableCut(std::string_view text, size_t limit);

// "1,234,567"
std::string WithSeparators(int64_t number);

// "7.24 B" for 7,241,732,096: as people say how large a model is.
std::string ShortCount(int64_t number);

}  // namespace tl
