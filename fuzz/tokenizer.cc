// Any bytes as a tokenizer.json, and as a text for it: what stands behind the
// first newline that ends a line of "}". Reading may refuse it, by a tl::Error
// and nothing else. Every token that comes out is one of the vocabulary, and
// the tokens given one by one are the text of all of them.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "promises.h"
#include "text/detokenizer.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace tl {
namespace {

void TryText(const Tokenizer& tokenizer, std::string_view text,
             bool parse_special) {
  const std::vector<TokenId> ids =
      tokenizer.Tokenize(text, {.parse_special = parse_special});
  for (TokenId id : ids) tokenizer.TokenText(id);
  Promise(IsUtf8(tokenizer.Detokenize(ids)), "a text is UTF-8");
  Detokenizer stream(tokenizer);
  for (TokenId id : ids) {
    Promise(IsUtf8(stream.Push(id)), "each piece of a text is UTF-8");
  }
  Promise(IsUtf8(stream.Finish()), "the last piece of a text is UTF-8");
}

void Try(std::string_view input) {
  const size_t end = input.find("}\n");
  const size_t cut = end == std::string_view::npos ? input.size() : end + 1;
  TokenizerJsonFiles files;
  files.label = "t.json";
  files.tokenizer = input.substr(0, cut);
  const Tokenizer tokenizer = ReadTokenizerJson(files);
  const std::string_view text = input.substr(cut);
  TryText(tokenizer, text, false);
  TryText(tokenizer, text, true);
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tl::Budget budget(size);
  try {
    tl::Try({reinterpret_cast<const char*>(data), size});
  } catch (const tl::Error&) {
  }
  return 0;
}
