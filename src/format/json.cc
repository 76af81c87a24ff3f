#include "format/json.h"

#include "base/error.h"
#include "base/large_numbers.h"

namespace tl {
namespace {

// Deeper nesting has no use in a header and would only exhaust the stack.
constexpr int kMaxDepth = 120;

std::string_view Explain(simdjson::error_code code) {
  switch (code) {
    case simdjson::UTF8_ERROR:
      return "is not UTF-8";
    case simdjson::UNESCAPED_CHARS:
      return "has a control character inside a string";
    case simdjson::UNCLOSED_STRING:
      return "has a string without an end";
    case simdjson::STRING_ERROR:
      return "has a string that is no text";
    case simdjson::NUMBER_ERROR:
      return "has a malformed number";
    case simdjson::INCORRECT_TYPE:
      return "has a value of the wrong kind";
    case simdjson::INCOMPLETE_ARRAY_OR_OBJECT:
      return "does not end with the bracket that it began with";
    case simdjson::EMPTY:
      return "is empty";
    case simdjson::TRAILING_CONTENT:
      return "has more after its end";
    case simdjson::DEPTH_ERROR:
      return "is nested too deeply";
    default:  // an enum of the library, which may grow
      return "is not well formed";
  }
}

}  // namespace

JsonDocument::JsonDocument(std::string path, simdjson::padded_string text,
                           int64_t origin)
    : path_(std::move(path)), origin_(origin), text_(std::move(text)) {
  Translate([&] { document_ = parser_.iterate(text_); });
}

std::string JsonDocument::Here() {
  const auto offset = [this](const char* location) {
    return origin_ + (location - text_.data());
  };
  const char* location;
  // After an error in its structure the document can no longer be asked, and a
  // text that failed as a whole never was one.
  if (document_.is_alive() &&
      document_.current_location().get(location) == simdjson::SUCCESS) {
    return fmt::format("{}: JSON at byte {}", path_, offset(location));
  }
  if (last_key_ != nullptr) {
    return fmt::format("{}: JSON after byte {}", path_, offset(last_key_));
  }
  return fmt::format("{}: JSON", path_);
}

void JsonDocument::FailSyntax(simdjson::error_code code) {
  Fail(ErrorKind::kInput, "{} {}", Here(), Explain(code));
}

void JsonDocument::RequireEnd() {
  if (document_.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    throw simdjson::simdjson_error(simdjson::TRAILING_CONTENT);
  }
}

void JsonDocument::Skip(Value value, int depth) {
  if (depth > kMaxDepth) {
    throw simdjson::simdjson_error(simdjson::DEPTH_ERROR);
  }
  const simdjson::ondemand::json_type type = value.type();
  switch (type) {
    case simdjson::ondemand::json_type::array:
      for (Value element : value.get_array()) Skip(element, depth + 1);
      return;
    case simdjson::ondemand::json_type::object:
      for (Field field : value.get_object()) {
        Key(field);
        Skip(field.value(), depth + 1);
      }
      return;
    case simdjson::ondemand::json_type::number:
      static_cast<void>(value.get_double().value());
      return;
    case simdjson::ondemand::json_type::string:
      static_cast<void>(value.get_string().value());
      return;
    case simdjson::ondemand::json_type::boolean:
      static_cast<void>(value.get_bool().value());
      return;
    case simdjson::ondemand::json_type::null:
      if (!value.is_null()) {
        throw simdjson::simdjson_error(simdjson::TAPE_ERROR);
      }
      return;
  }
}

simdjson::simdjson_result<simdjson::dom::element> ParseJson(
    simdjson::dom::parser& parser, std::string_view text) {
  const auto parsed = parser.parse(text.data(), text.size());
  if (!parsed.error()) return parsed;
  const std::string reals = WithLargeNumbersAsReals(text);
  return parser.parse(reals);
}

}  // namespace tl
