// A text in pieces, one behind the other in memory: what a pre-tokenizer takes
// and gives. None is empty.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tl {

class Pieces {
 public:
  Pieces() = default;
  // One piece. `at_start`: it is the beginning of what the user wrote.
  Pieces(std::string_view text, bool at_start) : at_start_(at_start) {
    Add(text);
  }

  size_t size() const { return ends_.size(); }
  size_t bytes() const { return text_.size(); }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(text_).substr(begin, ends_[i] - begin);
  }
  // Whether the first piece is the beginning of what the user wrote.
  bool at_start() const { return at_start_; }
  void set_at_start(bool at_start) { at_start_ = at_start; }

  void Reserve(const Pieces& like) {
    text_.reserve(like.text_.size());
    ends_.reserve(like.ends_.size());
  }
  void Add(std::string_view piece) {
    Append(piece);
    End();
  }
  // More of the piece that End() will make one.
  void Append(std::string_view part) { text_ += part; }
  void End() {
    const size_t begin = ends_.empty() ? 0 : ends_.back();
    if (text_.size() > begin) ends_.push_back(text_.size());
  }

 private:
  std::string text_;
  std::vector<size_t> ends_;
  bool at_start_ = false;
};

}  // namespace tl
