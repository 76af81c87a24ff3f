// What stands around the tokens of a text when special tokens are wanted: a
// list of templates, each applied to what the one before gave.
#pragma once

#include <vector>

#include "text/vocabulary.h"

namespace tl {

// Tokens, and kNoToken where those of the text go.
using Template = std::vector<TokenId>;

std::vector<TokenId> Fill(const Template& pattern,
                          const std::vector<TokenId>& ids);

}  // namespace tl
