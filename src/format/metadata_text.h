// A value of metadata as one text, for SafeTensors, which has nothing else, and
// back to the value it was:
//
//   a string        is itself, unless it begins with "gguf."
//   anything else   gguf.KIND:JSON, as gguf.u32:4096, gguf.f32:1e-05,
//                   gguf.bool:true, gguf.string:"gguf.", gguf.[i32]:[1,2],
//                   gguf.[string]:["<unk>","<s>"]
//   and what JSON cannot hold (not UTF-8, NaN, inf, a bool of 2)
//                   gguf.KIND.hex:BYTES, the bytes as GGUF stores them
#pragma once

#include <string>
#include <string_view>

#include "format/metadata.h"

namespace tl {

std::string ToText(const MetadataValue& value);

// The value that ToText() made this of; a string for any other text.
MetadataValue FromText(std::string_view text);

// In double quotes and escaped. `text` is UTF-8.
void AppendJsonString(std::string& json, std::string_view text);
std::string JsonText(std::string_view text);

}  // namespace tl
