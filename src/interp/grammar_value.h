// grammar(tok, text): what sample_token may draw. It goes on behind each token
// that is drawn with it; push(id) does so by hand. allowed() lists what may
// come next, may_end() says whether the text is a whole one, must_end() that
// besides nothing may follow, and copy(g) is another grammar at the same place.
#pragma once

#include "interp/tokenizer_value.h"
#include "text/token_grammar.h"

namespace tl {

class GrammarValue final : public Handle {
 public:
  explicit GrammarValue(TokenGrammar grammar) : grammar_(std::move(grammar)) {}

  TokenGrammar& grammar() { return grammar_; }

  std::string_view type_name() const override { return "grammar"; }
  TypeKind type() const override { return TypeKind::kAny; }
  std::string ToString() const override { return "grammar"; }
  Value CallMethod(std::string_view name, std::span<const Value> arguments,
                   const std::vector<std::string>& names) override;
  Value Copy() const override;

 private:
  TokenGrammar grammar_;
};

// The grammar of a function's argument `grammar`; fails for any other value.
TokenGrammar& GrammarArgument(const Value& value, std::string_view function);

}  // namespace tl
