#include "text/template.h"

#include <algorithm>

#include "base/error.h"
#include "text/template_parser.h"
#include "text/template_renderer.h"

namespace tl {

using jinja::Value;

struct ChatTemplate::Parsed {
  std::string text;
  jinja::NodePtr root;
  ChatLimits limits;
};

namespace {

size_t BytesOf(const Value& value) {
  size_t bytes = 1;
  if (value.is_string()) return value.text().size() + 1;
  if (value.is_sequence()) {
    for (const Value& item : value.items()) bytes += BytesOf(item);
  } else if (value.is(jinja::Kind::kMap)) {
    for (const auto& [key, item] : value.map().entries) {
      bytes += BytesOf(key) + BytesOf(item);
    }
  }
  return bytes;
}

jinja::MapObject VariablesOf(const ChatRequest& request) {
  jinja::MapObject variables;
  variables.Set("messages", request.messages);
  variables.Set("tools", request.tools);
  variables.Set("documents", Value::None());
  variables.Set("add_generation_prompt",
                Value::Bool(request.add_generation_prompt));
  if (!request.bos_token.empty()) {
    variables.Set("bos_token", Value::String(request.bos_token));
  }
  if (!request.eos_token.empty()) {
    variables.Set("eos_token", Value::String(request.eos_token));
  }
  for (const auto& [name, value] : request.variables)
    variables.Set(name, value);
  return variables;
}

}  // namespace

ChatTemplate::ChatTemplate(std::unique_ptr<Parsed> parsed)
    : parsed_(std::move(parsed)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

ChatTemplate ChatTemplate::Parse(std::string_view text, ChatLimits limits) {
  if (text.size() > limits.template_bytes) {
    Fail(ErrorKind::kInput, "chat template: {} bytes; at most {} are read",
         text.size(), limits.template_bytes);
  }
  auto parsed = std::make_unique<Parsed>();
  parsed->text = jinja::Normalised(text);
  parsed->limits = limits;
  try {
    parsed->root = jinja::Parser(parsed->text).ParseTemplate();
  } catch (const jinja::Fault& fault) {
    Fail(ErrorKind::kInput, "chat template:{}", fault.text);
  }
  return ChatTemplate(std::move(parsed));
}

std::string ChatTemplate::Render(const ChatRequest& request) const {
  jinja::MapObject variables = VariablesOf(request);
  size_t bytes = 0;
  for (const auto& [name, value] : variables.entries) bytes += BytesOf(value);
  const ChatLimits& limits = parsed_->limits;
  const size_t work = limits.work + limits.work_per_byte * bytes;
  jinja::Renderer renderer(std::move(variables), request.now,
                           limits.output_bytes, jinja::Budget(work));
  try {
    return renderer.Run(*parsed_->root);
  } catch (const jinja::Fault& fault) {
    const jinja::Place place = jinja::PlaceOf(parsed_->text, renderer.at());
    Fail(ErrorKind::kInput, "chat template:{}:{}: {}", place.line, place.column,
         fault.text);
  }
}

}  // namespace tl
