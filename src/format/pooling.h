// How a model's positions become one vector for the text: what the files of
// sentence-transformers beside a model say, and GGUF's number for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "format/model.h"

namespace tl {

// "mean", "cls" or "last", and other words for what is done otherwise: several
// ways at once, or layers after the pooling. Nothing where no file says it.
// Fails if a file is not JSON, or has a mode that there is not.
std::optional<std::string> PoolingBeside(const Model& model);

// {arch}.pooling_type: GGUF has no number for some words, and we no word for a
// number that it may get.
std::optional<uint32_t> GgufPooling(std::string_view word);
std::optional<std::string_view> PoolingOfGguf(int64_t number);

}  // namespace tl
