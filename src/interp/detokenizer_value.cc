#include "interp/detokenizer_value.h"

#include "base/error.h"

namespace tl {

Value DetokenizerValue::CallMethod(std::string_view name,
                                   std::span<const Value> arguments,
                                   const std::vector<std::string>& names) {
  if (name == "finish" && arguments.empty()) {
    return Value::String(detokenizer_.Finish());
  }
  if (name == "push" && arguments.size() == 1 && names.empty() &&
      arguments[0].is_int()) {
    const int64_t id = arguments[0].as_int();
    tokenizer_->TokenText(id);  // or it fails
    return Value::String(detokenizer_.Push(static_cast<TokenId>(id)));
  }
  if (name != "push" && name != "finish") return Value::Unset();
  Fail(ErrorKind::kProgram, "{}: {} arguments; its form is {}", name,
       arguments.size(), name == "push" ? "push(id)" : "finish()");
}

}  // namespace tl
