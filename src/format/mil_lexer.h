// The tokens of a MIL text (mil_text.h). They are views into the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tl {

enum class MilTokenKind {
  kEnd,
  kName,    // fp16, conv, x_1, ios17.cast
  kNumber,  // 3, -0x1.8p+1, inf
  kText,    // what is between quotes, escapes and all
  kMark,    // one of ( ) [ ] { } < > = , ; ? ... or ->
};

struct MilToken {
  MilTokenKind kind = MilTokenKind::kEnd;
  std::string_view text;
  int64_t offset = 0;
};

class MilLexer {
 public:
  MilLexer(std::string path, std::string_view text)
      : path_(std::move(path)), text_(text) {}

  // Fails at what is no token.
  MilToken Next();
  // "x.mlmodelc/model.mil:12: ", for messages.
  std::string Where(const MilToken& token) const;

 private:
  MilToken Take(MilTokenKind kind, size_t size);
  MilToken TakeText();

  std::string path_;
  std::string_view text_;
  size_t at_ = 0;
};

// Without its escapes: \" \\ \n \t and so on.
std::string Unescaped(std::string_view text);

}  // namespace tl
