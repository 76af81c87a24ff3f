// Strict JSON for headers and indices: every key is seen, so that one that
// occurs twice can be refused; numbers are whole and not negative; and a
// failure says at which byte. A thin layer over simdjson's on-demand parser.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tl {

class JsonDocument {
 public:
  using Value = simdjson::ondemand::value;
  using Object = simdjson::ondemand::object;
  using Array = simdjson::ondemand::array;
  using Field = simdjson::ondemand::field;

  // `path` and `origin`, the offset of the text in its file, are for messages.
  // Fails when it is not UTF-8 or a string does not end.
  JsonDocument(std::string path, simdjson::padded_string text, int64_t origin);

  // Runs read(object) on the document's one value, which must be an object and
  // the last thing in it. simdjson's errors become ours.
  template <class F>
  void ReadObject(F&& read) {
    Translate([&] {
      read(static_cast<Object>(document_.get_object()));
      RequireEnd();
    });
  }

  // The same of an array.
  template <class F>
  void ReadArray(F&& read) {
    Translate([&] {
      read(static_cast<Array>(document_.get_array()));
      RequireEnd();
    });
  }

  // The key of a field. Stays good as long as the document.
  std::string_view Key(Field field) {
    last_key_ = field.key().raw();
    return field.unescaped_key().value();
  }

  // Reads a value that nobody wants, checking that it is JSON.
  void Skip(Value value) { Skip(value, 0); }

  // "m.safetensors: JSON at byte 17"
  std::string Here();

 private:
  void Skip(Value value, int depth);
  void RequireEnd();
  template <class F>
  void Translate(F&& work) {
    try {
      work();
    } catch (const simdjson::simdjson_error& error) {
      FailSyntax(error.error());
    }
  }
  [[noreturn]] void FailSyntax(simdjson::error_code code);

  std::string path_;
  int64_t origin_;
  simdjson::padded_string text_;
  simdjson::ondemand::parser parser_;
  simdjson::ondemand::document document_;
  const char* last_key_ = nullptr;  // in text_
};

// As parser.parse(text), but a whole number too large for 64 bits is a double.
simdjson::simdjson_result<simdjson::dom::element> ParseJson(
    simdjson::dom::parser& parser, std::string_view text);

}  // namespace tl
