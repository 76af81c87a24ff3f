#include "interp/tokenizer_value.h"

#include "base/error.h"
#include "interp/operators.h"
#include "interp/tokenizer_files.h"
#include "lang/ast.h"

namespace tl {
namespace {

Value IdValue(const std::optional<TokenId>& id) {
  return id ? Value::Int(*id) : Value();
}

Value IdList(const std::vector<TokenId>& ids) {
  std::vector<Value> items;
  for (TokenId id : ids) items.push_back(Value::Int(id));
  return Value::List(std::move(items));
}

// The only argument of a method, which has no name.
const Value& OnlyArgument(std::string_view method,
                          std::span<const Value> arguments,
                          const std::vector<std::string>& names) {
  if (arguments.size() != 1 || !names.empty()) {
    Fail(ErrorKind::kProgram, "{}: {} arguments; expected 1, without a name",
         method, arguments.size());
  }
  return arguments[0];
}

}  // namespace

const std::shared_ptr<const TokenTexts>& TokenizerValue::texts() const {
  if (!texts_) texts_ = std::make_shared<TokenTexts>(*tokenizer_);
  return texts_;
}

std::string TokenizerValue::ToString() const {
  return fmt::format("<tokenizer of {}: {} tokens>", source_, Length());
}

Value TokenizerValue::FindMember(std::string_view name) const {
  const SpecialIds& special = tokenizer_->special();
  if (name == "vocab_size") return Value::Int(Length());
  if (name == "bos") return IdValue(special.bos);
  if (name == "eos") return IdValue(special.eos);
  if (name == "pad") return IdValue(special.pad);
  if (name == "unk") return IdValue(special.unknown);
  if (name == "ends") return IdList(special.ends);
  if (name == "chat_template") {
    const std::string* text = chat_->Find(kDefaultTemplate);
    return text ? Value::String(*text) : Value();
  }
  return Value::Unset();
}

bool TokenizerValue::IsMethod(std::string_view name) const {
  return name == "tokenize" || name == "detokenize" || name == "copy";
}

Value TokenizerValue::CallMethod(std::string_view name,
                                 std::span<const Value> arguments,
                                 const std::vector<std::string>& names) {
  if (name != "token" && name != "id") return Value::Unset();
  const Value& argument = OnlyArgument(name, arguments, names);
  if (name == "token") {
    if (!argument.is_int()) {
      Fail(ErrorKind::kProgram, "token: the number is {}; expected an int",
           Describe(argument));
    }
    return Value::String(tokenizer_->TokenText(argument.as_int()));
  }
  if (!argument.is_string()) {
    Fail(ErrorKind::kProgram, "id: the token is {}; expected a string",
         Describe(argument));
  }
  const TokenId id = tokenizer_->FindToken(argument.as_string());
  return id == kNoToken ? Value() : Value::Int(id);
}

bool TokenizerValue::Contains(const Value& key) const {
  return key.is_string() && tokenizer_->FindToken(key.as_string()) != kNoToken;
}

int64_t TokenizerValue::Length() const { return tokenizer_->vocabulary_size(); }

// It never changes, so it may be shared.
Value TokenizerValue::Copy() const {
  return Value::Adopt(new TokenizerValue(tokenizer_, chat_, source_));
}

const TokenizerValue& TokenizerArgument(const Value& value,
                                        std::string_view function) {
  if (!value.is_handle() || value.as_handle().type() != TypeKind::kTokenizer) {
    const bool model =
        value.is_handle() && value.as_handle().type() == TypeKind::kModel;
    Fail(ErrorKind::kProgram, "{}: 'tok' is {}; expected a tokenizer{}",
         function, Describe(value), model ? ", which m.tokenizer is" : "");
  }
  return static_cast<const TokenizerValue&>(value.as_handle());
}

}  // namespace tl
