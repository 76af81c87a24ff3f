// The steps of a tokenizer.json, each read by one row: its "normalizer",
// "pre_tokenizer" and "decoder". Each may be a sequence of others. An unknown
// step is an error that names it.
#pragma once

#include "text/decoder.h"
#include "text/json_part.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"

namespace tl {

Normalizers ReadNormalizers(const JsonPart& part);
PreTokenizers ReadPreTokenizers(const JsonPart& part);
Decoders ReadDecoders(const JsonPart& part);

// {"String": "..."} or {"Regex": "..."}.
Regex ReadPattern(const JsonPart& part);

}  // namespace tl
