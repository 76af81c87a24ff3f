// For tests: small tokenizer.json files, written as Hugging Face's library
// does.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "text/tokenizer_json.h"

namespace tl {

// With these values of its members, each a JSON text.
struct TestJson {
  std::string model = R"({"type": "WordLevel", "vocab": {"<unk>": 0, "a": 1}, )"
                      R"("unk_token": "<unk>"})";
  std::string added_tokens = "[]";
  std::string normalizer = "null";
  std::string pre_tokenizer = "null";
  std::string post_processor = "null";
  std::string decoder = "null";

  std::string Text() const {
    return fmt::format(
        R"({{"version": "1.0", "added_tokens": {}, "normalizer": {}, )"
        R"("pre_tokenizer": {}, "post_processor": {}, "decoder": {}, )"
        R"("model": {}}})",
        added_tokens, normalizer, pre_tokenizer, post_processor, decoder,
        model);
  }

  Tokenizer Read() const {
    TokenizerJsonFiles files;
    files.label = "t.json";
    files.tokenizer = Text();
    return ReadTokenizerJson(files);
  }
};

}  // namespace tl
