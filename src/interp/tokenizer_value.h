// A tokenizer as a value of a program, and where tokenizers come from: a file,
// a folder, or an open model.
#pragma once

#include <memory>
#include <string>

#include "format/model.h"
#include "interp/value.h"
#include "lang/ast.h"
#include "text/chat_templates.h"
#include "text/token_texts.h"
#include "text/tokenizer.h"

namespace tl {

class TokenizerValue final : public Handle {
 public:
  TokenizerValue(std::shared_ptr<const Tokenizer> tokenizer,
                 std::shared_ptr<const ChatTemplates> chat, std::string source)
      : tokenizer_(std::move(tokenizer)),
        chat_(std::move(chat)),
        source_(std::move(source)) {}

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const ChatTemplates& chat() const { return *chat_; }
  const std::string& source() const { return source_; }
  const std::shared_ptr<const Tokenizer>& shared() const { return tokenizer_; }
  // Made when first asked for, since it takes some tenths of a second.
  const std::shared_ptr<const TokenTexts>& texts() const;

  std::string_view type_name() const override { return "tokenizer"; }
  TypeKind type() const override { return TypeKind::kTokenizer; }
  std::string ToString() const override;
  Value FindMember(std::string_view name) const override;
  bool IsMethod(std::string_view name) const override;
  Value CallMethod(std::string_view name, std::span<const Value> arguments,
                   const std::vector<std::string>& names) override;
  bool Contains(const Value& key) const override;
  int64_t Length() const override;
  Value Copy() const override;

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplates> chat_;
  std::string source_;
  mutable std::shared_ptr<const TokenTexts> texts_;
};

// The tokenizer of a function's argument; fails for any other value.
const TokenizerValue& TokenizerArgument(const Value& value,
                                        std::string_view function);

// A tokenizer.json, a model's file, or a folder with one of them.
Value LoadTokenizer(const std::string& path);

// Of the metadata, or of the tokenizer.json beside the model's file; fails
// where there is neither.
Value TokenizerOf(const Model& model);

}  // namespace tl
