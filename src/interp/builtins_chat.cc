// Conversations as a model wants them written: values of the program become
// those of its chat template.
#include <cstdlib>
#include <ctime>

#include "base/error.h"
#include "interp/builtins.h"
#include "interp/format_value.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "interp/tokenizer_value.h"
#include "interp/vm.h"
#include "text/template.h"

namespace tl {
namespace {

constexpr char kFunction[] = "apply_chat_template";

// What JSON has, which is what templates are made for. `path` is for messages:
// "messages[0].content".
class TemplateValues {
 public:
  explicit TemplateValues(Tensors& tensors) : tensors_(tensors) {}

  jinja::Value Of(const Value& value, const std::string& path, int depth = 1) {
    if (depth > jinja::kMaxValueDepth) {
      Fail(ErrorKind::kProgram, "{}: '{}' nests deeper than {}", kFunction,
           path, jinja::kMaxValueDepth);
    }
    switch (value.tag()) {
      case Tag::kNone:
      case Tag::kUnset:
        return jinja::Value::None();
      case Tag::kBool:
        return jinja::Value::Bool(value.as_bool());
      case Tag::kInt:
        return jinja::Value::Int(value.as_int());
      case Tag::kFloat:
        return jinja::Value::Float(value.as_float());
      case Tag::kString:
        return jinja::Value::String(value.as_string());
      case Tag::kList:
        return OfList(value, path, depth);
      case Tag::kMap:
        return OfMap(value, path, depth);
      default:
        Fail(ErrorKind::kProgram,
             "{}: '{}' is {}, which a template cannot read", kFunction, path,
             Describe(value));
    }
  }

 private:
  jinja::Value OfList(const Value& value, const std::string& path, int depth) {
    jinja::Values items;
    for (const Value& item : value.as_list()) {
      items.push_back(
          Of(item, fmt::format("{}[{}]", path, items.size()), depth + 1));
    }
    return jinja::Value::List(std::move(items));
  }

  jinja::Value OfMap(const Value& value, const std::string& path, int depth) {
    jinja::MapObject map;
    for (const MapEntry& entry : value.as_map().entries()) {
      const jinja::Value key = Of(entry.key, path, depth + 1);
      const std::string name = ToText(tensors_, entry.key);
      map.Set(key,
              Of(entry.value, fmt::format("{}.{}", path, name), depth + 1));
    }
    return jinja::Value::Map(std::move(map));
  }

  Tensors& tensors_;
};

void CheckMessages(const Value& messages) {
  if (!messages.is_list() || messages.as_list().empty()) {
    Fail(ErrorKind::kProgram,
         "{}: 'messages' is {}; expected a list of at least one map with "
         "'role' and 'content'",
         kFunction, messages.is_list() ? "an empty list" : Describe(messages));
  }
  for (size_t i = 0; i < messages.as_list().size(); ++i) {
    const Value& message = messages.as_list()[i];
    if (!message.is_map()) {
      Fail(ErrorKind::kProgram,
           "{}: messages[{}] is {}; expected a map with 'role' and 'content'",
           kFunction, i, Describe(message));
    }
    const Value* role = message.as_map().Find("role");
    if (!role) {
      Fail(ErrorKind::kProgram, "{}: messages[{}] has no 'role'", kFunction, i);
    }
    if (!role->is_string()) {
      Fail(ErrorKind::kProgram,
           "{}: the 'role' of messages[{}] is {}; expected a string", kFunction,
           i, Describe(*role));
    }
  }
}

std::tm Now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm now = {};
  localtime_r(&seconds, &now);
  return now;
}

}  // namespace

namespace builtins {

Value ApplyChatTemplate(Vm& vm, std::span<Value> arguments) {
  const TokenizerValue& tok = TokenizerArgument(arguments[0], kFunction);
  CheckMessages(arguments[1]);
  const Value& tools = arguments[3];
  const bool with_tools = !tools.is_none() && !tools.is_unset();
  const ChatTemplate pattern = ChatTemplate::Parse(
      tok.chat().Choose(arguments[5].as_string(), with_tools, tok.source()));
  TemplateValues values(vm.tensors());
  ChatRequest request;
  request.messages = values.Of(arguments[1], "messages");
  request.add_generation_prompt = arguments[2].as_bool();
  request.tools = values.Of(tools, "tools");
  request.now = Now();
  for (const auto& [name, text] : tok.chat().special_tokens) {
    request.variables.emplace_back(name, jinja::Value::String(text));
  }
  request.variables.emplace_back("documents",
                                 values.Of(arguments[4], "documents"));
  const Value& more = arguments[6];
  if (!more.is_none() && !more.is_unset()) {
    if (!more.is_map()) {
      Fail(ErrorKind::kProgram, "{}: 'variables' is {}; expected a map",
           kFunction, Describe(more));
    }
    for (const MapEntry& entry : more.as_map().entries()) {
      const std::string name = ToText(vm.tensors(), entry.key);
      request.variables.emplace_back(name, values.Of(entry.value, name));
    }
  }
  return Value::String(pattern.Render(request));
}

}  // namespace builtins
}  // namespace tl
