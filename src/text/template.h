// Chat templates: how a model wants a conversation written, as a text in the
// part of Jinja that templates of public models use. What is written is what
// Hugging Face's transformers write with the same template.
//
// A template comes with a model, so it is not trusted: it reaches nothing but
// its variables, and ends with an error when it takes too long, writes too much
// or nests too deeply. Owns the interface; the language is template_parser.h
// and template_renderer.h.
#pragma once

#include <cstddef>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/template_value.h"

namespace tl {

struct ChatRequest {
  // Maps with "role", "content" and what else the template reads.
  jinja::Value messages = jinja::Value::List({});
  jinja::Value tools = jinja::Value::None();  // a list of JSON schemas
  bool add_generation_prompt = false;
  std::string bos_token, eos_token;  // not defined where empty
  // More variables; a name that stands above is replaced.
  std::vector<std::pair<std::string, jinja::Value>> variables;
  // What strftime_now() tells.
  std::tm now = {};
};

struct ChatLimits {
  size_t template_bytes = 1 << 20;
  size_t output_bytes = 64 << 20;
  // Steps, and characters and elements made: this, and so many for each byte
  // of the variables.
  size_t work = 20'000'000;
  size_t work_per_byte = 64;
};

class ChatTemplate {
 public:
  // Fails as "chat template:LINE:COLUMN: ...".
  static ChatTemplate Parse(std::string_view text, ChatLimits limits = {});

  // Fails the same way, also with the message of raise_exception().
  std::string Render(const ChatRequest& request) const;

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

 private:
  struct Parsed;
  explicit ChatTemplate(std::unique_ptr<Parsed> parsed);

  std::unique_ptr<Parsed> parsed_;
};

}  // namespace tl
