#include "text/post_processor.h"

namespace tl {

std::vector<TokenId> Fill(const Template& pattern,
                          const std::vector<TokenId>& ids) {
  std::vector<TokenId> filled;
  filled.reserve(pattern.size() + ids.size());
  for (TokenId token : pattern) {
    if (token == kNoToken) {
      filled.insert(filled.end(), ids.begin(), ids.end());
    } else {
      filled.push_back(token);
    }
  }
  return filled;
}

}  // namespace tl
