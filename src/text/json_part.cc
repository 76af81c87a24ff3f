#include "text/json_part.h"

#include "base/large_numbers.h"

namespace tl {
namespace {

std::string_view KindOf(simdjson::dom::element value) {
  switch (value.type()) {
    case simdjson::dom::element_type::ARRAY:
      return "an array";
    case simdjson::dom::element_type::OBJECT:
      return "an object";
    case simdjson::dom::element_type::STRING:
      return "a text";
    case simdjson::dom::element_type::BOOL:
      return "true or false";
    case simdjson::dom::element_type::NULL_VALUE:
      return "null";
    case simdjson::dom::element_type::INT64:
    case simdjson::dom::element_type::UINT64:
    case simdjson::dom::element_type::DOUBLE:
      return "a number";
  }
  return "something else";
}

}  // namespace

void JsonPart::FailKind(std::string_view expected) const {
  FailHere("is {}; expected {}", KindOf(value_), expected);
}

simdjson::dom::object JsonPart::Members() const {
  simdjson::dom::object object;
  if (value_.get(object) != simdjson::SUCCESS) FailKind("an object");
  return object;
}

simdjson::dom::array JsonPart::Array() const {
  simdjson::dom::array array;
  if (value_.get(array) != simdjson::SUCCESS) FailKind("an array");
  return array;
}

JsonPart JsonPart::Item(simdjson::dom::element value, size_t index) const {
  return JsonPart(value, fmt::format("{}[{}]", path_, index));
}

std::optional<JsonPart> JsonPart::Find(std::string_view key) const {
  simdjson::dom::element member;
  if (Members().at_key(key).get(member) != simdjson::SUCCESS ||
      member.is_null()) {
    return std::nullopt;
  }
  const std::string_view between = path_.ends_with(": ") ? "" : ".";
  return JsonPart(member, fmt::format("{}{}{}", path_, between, key));
}

JsonPart JsonPart::Get(std::string_view key) const {
  auto member = Find(key);
  if (!member) FailHere("has no '{}'", key);
  return *std::move(member);
}

std::vector<JsonPart> JsonPart::Items() const {
  std::vector<JsonPart> items;
  for (simdjson::dom::element item : Array()) {
    items.push_back(Item(item, items.size()));
  }
  return items;
}

std::string_view JsonPart::Text() const {
  std::string_view text;
  if (value_.get(text) != simdjson::SUCCESS) FailKind("a text");
  return text;
}

bool JsonPart::Flag() const {
  bool flag = false;
  if (value_.get(flag) != simdjson::SUCCESS) FailKind("true or false");
  return flag;
}

int64_t JsonPart::Int() const {
  int64_t number = 0;
  if (value_.get(number) != simdjson::SUCCESS) FailKind("a whole number");
  return number;
}

double JsonPart::Number() const {
  double number = 0;
  if (value_.get(number) != simdjson::SUCCESS) FailKind("a number");
  return number;
}

std::string JsonPart::TextOf(std::string_view key,
                             std::string_view otherwise) const {
  const auto part = Find(key);
  return std::string(part ? part->Text() : otherwise);
}

bool JsonPart::FlagOf(std::string_view key, bool otherwise) const {
  const auto part = Find(key);
  return part ? part->Flag() : otherwise;
}

int64_t JsonPart::IntOf(std::string_view key, int64_t otherwise) const {
  const auto part = Find(key);
  return part ? part->Int() : otherwise;
}

JsonFile::JsonFile(const std::string& text, const std::string& label) {
  simdjson::dom::element root;
  auto error = parser_.parse(text).get(root);
  if (error != simdjson::SUCCESS) {
    error = parser_.parse(WithLargeNumbersAsReals(text)).get(root);
  }
  if (error != simdjson::SUCCESS) {
    Fail(ErrorKind::kInput, "{}: is no JSON: {}", label,
         simdjson::error_message(error));
  }
  root_.emplace(root, label + ": ");
  if (!root.is_object()) Fail(ErrorKind::kInput, "{}: is no object", label);
}

}  // namespace tl
