// Where a tokenizer's parts lie: GGUF's metadata in the form that the room
// `text` asks for, and the JSON files of a Hugging Face folder.
#pragma once

#include <optional>
#include <string>

#include "format/metadata.h"
#include "text/gguf_tokenizer.h"
#include "text/tokenizer_json.h"

namespace tl {

inline constexpr char kGgufTokenizerModel[] = "tokenizer.ggml.model";

// The keys tokenizer.ggml.*; fails where one is of the wrong kind. The result
// looks into `metadata`.
GgufVocabulary GgufVocabularyOf(const Metadata& metadata,
                                const std::string& label);

// A tokenizer.json with what lies beside it.
TokenizerJsonFiles TokenizerJsonFilesAt(const std::string& path);

}  // namespace tl
