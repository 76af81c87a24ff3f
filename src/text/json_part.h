// A part of a tokenizer's JSON with the path that leads to it, so that what is
// wrong with it can be said: "tokenizer.json: model.merges[3]: ...".
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tl {

class JsonPart {
 public:
  JsonPart(simdjson::dom::element value, std::string path)
      : value_(value), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  simdjson::dom::element value() const { return value_; }
  bool is_null() const { return value_.is_null(); }

  // The member; nothing where it is missing or null.
  std::optional<JsonPart> Find(std::string_view key) const;
  // The member; fails where it is missing or null.
  JsonPart Get(std::string_view key) const;
  std::vector<JsonPart> Items() const;  // of an array
  // The bare members and items, of which there may be hundreds of thousands,
  // and one of them with its path.
  simdjson::dom::object Members() const;
  simdjson::dom::array Array() const;
  JsonPart Item(simdjson::dom::element value, size_t index) const;

  // The value itself, if it is of that kind; fails otherwise.
  std::string_view Text() const;
  bool Flag() const;
  int64_t Int() const;
  double Number() const;

  // A member's value; `otherwise` where it is missing or null.
  std::string TextOf(std::string_view key, std::string_view otherwise) const;
  bool FlagOf(std::string_view key, bool otherwise) const;
  int64_t IntOf(std::string_view key, int64_t otherwise) const;

  template <class... Args>
  [[noreturn]] void FailHere(fmt::format_string<Args...> text,
                             Args&&... args) const {
    const bool root = path_.ends_with(": ");
    Fail(ErrorKind::kInput, "{}{}{}", path_, root ? "" : ": ",
         fmt::format(text, std::forward<Args>(args)...));
  }

 private:
  [[noreturn]] void FailKind(std::string_view expected) const;

  simdjson::dom::element value_;
  std::string path_;
};

// A JSON text that stays in memory as long as its parts are looked at.
class JsonFile {
 public:
  // Fails for what is no object.
  JsonFile(const std::string& text, const std::string& label);

  const JsonPart& root() const { return *root_; }

 private:
  simdjson::dom::parser parser_;
  std::optional<JsonPart> root_;
};

// One row for each name that a "type" may have, and what reads it.
template <class Result>
struct JsonKind {
  std::string_view name;
  Result (*read)(const JsonPart& part);
};

// What the row of the part's "type" reads; fails by naming an unknown type.
template <class Result, size_t N>
Result ReadKind(const JsonPart& part, const JsonKind<Result> (&kinds)[N]) {
  const std::string_view type = part.Get("type").Text();
  std::string known;
  for (const JsonKind<Result>& kind : kinds) {
    if (kind.name == type) return kind.read(part);
    known += known.empty() ? "" : ", ";
    known += kind.name;
  }
  part.FailHere("the type '{}' is not known here; known are {}", type, known);
}

// The words that stand for the values of an enum.
template <class Value>
struct JsonWord {
  std::string_view word;
  Value value;
};

template <class Value, size_t N>
Value ReadWord(const JsonPart& part, const JsonWord<Value> (&words)[N]) {
  const std::string_view text = part.Text();
  std::string known;
  for (const JsonWord<Value>& row : words) {
    if (row.word == text) return row.value;
    known += known.empty() ? "" : ", ";
    known += row.word;
  }
  part.FailHere("'{}' is not known here; known are {}", text, known);
}

}  // namespace tl
