// Text to tokens and back.
#include "base/error.h"
#include "interp/builtins.h"
#include "interp/detokenizer_value.h"
#include "interp/grammar_value.h"
#include "interp/operators.h"
#include "interp/tokenizer_value.h"
#include "interp/vm.h"
#include "text/json_schema.h"

namespace tl {
namespace {

bool FlagArgument(const Value& value, std::string_view function,
                  std::string_view parameter) {
  if (!value.is_bool()) {
    Fail(ErrorKind::kProgram, "{}: '{}' is {}; expected a bool", function,
         parameter, Describe(value));
  }
  return value.as_bool();
}

TokenId IdOf(int64_t number, const Tokenizer& tokenizer) {
  tokenizer.TokenText(number);  // or it fails
  return static_cast<TokenId>(number);
}

// A list, a tensor with one axis, or one number.
std::vector<TokenId> IdsArgument(Vm& vm, const Value& value,
                                 const Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  if (value.is_list()) {
    for (const Value& item : value.as_list()) {
      ids.push_back(
          IdOf(WholeNumber(vm.tensors(), item, "a token"), tokenizer));
    }
  } else if (value.is_tensor() && AsTensor(value)->rank() == 1) {
    for (double number : vm.tensors().Numbers(value)) {
      ids.push_back(
          IdOf(WholeNumber(vm.tensors(), Value::Float(number), "a token"),
               tokenizer));
    }
  } else {
    ids.push_back(
        IdOf(WholeNumber(vm.tensors(), value, "detokenize: 'ids'"), tokenizer));
  }
  return ids;
}

}  // namespace

namespace builtins {

Value LoadTokenizer(Vm&, std::span<Value> arguments) {
  return tl::LoadTokenizer(PathArgument(arguments[0], "load_tokenizer"));
}

Value Tokenize(Vm&, std::span<Value> arguments) {
  const Tokenizer& tokenizer =
      TokenizerArgument(arguments[0], "tokenize").tokenizer();
  const std::string& text = StringArgument(arguments[1], "tokenize", "text");
  TokenizeOptions options;
  options.add_special = FlagArgument(arguments[2], "tokenize", "add_special");
  options.parse_special =
      FlagArgument(arguments[3], "tokenize", "parse_special");
  std::vector<Value> items;
  for (TokenId id : tokenizer.Tokenize(text, options)) {
    items.push_back(Value::Int(id));
  }
  return Value::List(std::move(items));
}

Value Detokenize(Vm& vm, std::span<Value> arguments) {
  const Tokenizer& tokenizer =
      TokenizerArgument(arguments[0], "detokenize").tokenizer();
  DetokenizeOptions options;
  options.skip_special =
      FlagArgument(arguments[2], "detokenize", "skip_special");
  return Value::String(
      tokenizer.Detokenize(IdsArgument(vm, arguments[1], tokenizer), options));
}

Value NewDetokenizer(Vm&, std::span<Value> arguments) {
  return Value::Adopt(new DetokenizerValue(
      TokenizerArgument(arguments[0], "detokenizer").shared()));
}

Value NewGrammar(Vm&, std::span<Value> arguments) {
  const TokenizerValue& tok = TokenizerArgument(arguments[0], "grammar");
  const std::string& text = StringArgument(arguments[1], "grammar", "text");
  return Value::Adopt(
      new GrammarValue(TokenGrammar(Grammar::Parse(text), tok.texts())));
}

Value NewJsonGrammar(Vm&, std::span<Value> arguments) {
  const TokenizerValue& tok = TokenizerArgument(arguments[0], "json_grammar");
  const Value& schema = arguments[1];
  const std::string text = JsonSchemaGrammar(
      schema.is_none() || schema.is_unset()
          ? R"({"type": "object"})"
          : StringArgument(schema, "json_grammar", "schema"));
  return Value::Adopt(
      new GrammarValue(TokenGrammar(Grammar::Parse(text), tok.texts())));
}

}  // namespace builtins
}  // namespace tl
