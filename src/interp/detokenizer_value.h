// detokenizer(tok): text as it is generated. push(id) gives what a token adds,
// whole characters only; finish() what still waits.
#pragma once

#include "interp/tokenizer_value.h"
#include "text/detokenizer.h"

namespace tl {

class DetokenizerValue final : public Handle {
 public:
  explicit DetokenizerValue(std::shared_ptr<const Tokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)), detokenizer_(*tokenizer_) {}

  std::string_view type_name() const override { return "detokenizer"; }
  TypeKind type() const override { return TypeKind::kAny; }
  std::string ToString() const override { return "detokenizer"; }
  Value CallMethod(std::string_view name, std::span<const Value> arguments,
                   const std::vector<std::string>& names) override;

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  Detokenizer detokenizer_;
};

}  // namespace tl
