#include "interp/grammar_value.h"

#include "base/error.h"
#include "interp/operators.h"

namespace tl {

namespace {

Value ListOf(const std::vector<bool>& tokens) {
  std::vector<Value> ids;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id]) ids.push_back(Value::Int(static_cast<int64_t>(id)));
  }
  return Value::List(std::move(ids));
}

}  // namespace

Value GrammarValue::CallMethod(std::string_view name,
                               std::span<const Value> arguments,
                               const std::vector<std::string>& names) {
  if (name == "may_end" && arguments.empty()) {
    return Value::Bool(grammar_.may_end());
  }
  if (name == "must_end" && arguments.empty()) {
    return Value::Bool(grammar_.must_end());
  }
  if (name == "allowed" && arguments.empty()) {
    return ListOf(grammar_.Allowed());
  }
  if (name == "push" && arguments.size() == 1 && names.empty() &&
      arguments[0].is_int()) {
    grammar_.Push(arguments[0].as_int());
    return Value();
  }
  if (name != "push" && name != "may_end" && name != "must_end" &&
      name != "allowed") {
    return Value::Unset();
  }
  Fail(ErrorKind::kProgram, "{}: {} arguments; its form is {}({})", name,
       arguments.size(), name, name == "push" ? "id" : "");
}

Value GrammarValue::Copy() const {
  return Value::Adopt(new GrammarValue(grammar_));
}

TokenGrammar& GrammarArgument(const Value& value, std::string_view function) {
  auto* grammar = value.is_handle()
                      ? dynamic_cast<GrammarValue*>(&value.as_handle())
                      : nullptr;
  if (!grammar) {
    Fail(ErrorKind::kProgram,
         "{}: 'grammar' is {}; expected what grammar(tok, text) gives",
         function, Describe(value));
  }
  return grammar->grammar();
}

}  // namespace tl
