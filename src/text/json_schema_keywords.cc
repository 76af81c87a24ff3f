#include "text/json_schema_keywords.h"

#include <algorithm>
#include <set>

#include "text/grammar_parser.h"

namespace tl {
namespace {

constexpr SchemaKeyword kKeywords[] = {
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"items", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"enum", ""},
    {"const", ""},
    {"anyOf", ""},
    {"oneOf", ""},
    {"$ref", ""},
};
// What says nothing of the text, or is looked at elsewhere.
constexpr std::string_view kAnnotations[] = {
    "title",    "description", "default",  "examples", "deprecated",
    "readOnly", "writeOnly",   "$comment", "$schema",  "$id",
    "$defs",    "definitions", "type"};
constexpr std::string_view kTypes[] = {"object",  "array",   "string", "number",
                                       "integer", "boolean", "null"};

std::vector<std::string> TypesOf(const JsonPart& part) {
  std::vector<std::string> types;
  if (const auto type = part.Find("type")) {
    if (type->value().is_array()) {
      for (const JsonPart& item : type->Items()) {
        types.emplace_back(item.Text());
      }
      if (types.empty()) type->FailHere("is empty");
    } else {
      types.emplace_back(type->Text());
    }
    for (const std::string& name : types) {
      if (std::ranges::find(kTypes, name) == std::end(kTypes)) {
        type->FailHere("there is no type '{}'", name);
      }
    }
  }
  return types;
}

int64_t CountOf(const JsonPart& part, std::string_view key, int64_t otherwise) {
  const auto found = part.Find(key);
  if (!found) return otherwise;
  const int64_t count = found->Int();
  if (count < 0 || count > kMaxRepetition) {
    part.FailHere("'{}' is {}; expected 0 to {}", key, count, kMaxRepetition);
  }
  return count;
}

}  // namespace

SchemaKeywords KeywordsOf(const JsonPart& part) {
  SchemaKeywords said{TypesOf(part), {}};
  std::set<std::string_view> seen;
  for (const auto [key, value] : part.Members()) {
    if (!seen.insert(key).second) part.FailHere("'{}' is there twice", key);
    if (std::ranges::find(kAnnotations, key) != std::end(kAnnotations)) {
      continue;
    }
    const auto row = std::ranges::find(kKeywords, key, &SchemaKeyword::name);
    if (row == std::end(kKeywords)) {
      part.FailHere("'{}' is not supported", key);
    }
    if (value.is_null() && key != "const") part.FailHere("'{}' is null", key);
    if (said.types.empty() && !row->type.empty()) {
      said.types.emplace_back(row->type);
    }
    said.keywords.push_back(*row);
  }
  return said;
}

bool HasType(simdjson::dom::element value, std::string_view type) {
  switch (value.type()) {
    case simdjson::dom::element_type::ARRAY:
      return type == "array";
    case simdjson::dom::element_type::OBJECT:
      return type == "object";
    case simdjson::dom::element_type::STRING:
      return type == "string";
    case simdjson::dom::element_type::BOOL:
      return type == "boolean";
    case simdjson::dom::element_type::NULL_VALUE:
      return type == "null";
    case simdjson::dom::element_type::INT64:
    case simdjson::dom::element_type::UINT64:
      return type == "integer" || type == "number";
    case simdjson::dom::element_type::DOUBLE:
      return type == "number";
  }
  return false;
}

std::string SchemaBounds::Times() const {
  return max == GrammarNode::kNoMaximum ? fmt::format("{{{},}}", min)
                                        : fmt::format("{{{},{}}}", min, max);
}

SchemaBounds BoundsOf(const JsonPart& part, std::string_view min,
                      std::string_view max) {
  const SchemaBounds bounds{CountOf(part, min, 0),
                            CountOf(part, max, GrammarNode::kNoMaximum)};
  if (bounds.max != GrammarNode::kNoMaximum && bounds.max < bounds.min) {
    part.FailHere("'{}' is {} and '{}' {}", min, bounds.min, max, bounds.max);
  }
  return bounds;
}

}  // namespace tl
