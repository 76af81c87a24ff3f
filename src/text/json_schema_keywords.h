// What a part of a JSON Schema may say: its types, keywords and bounds. Refuses
// the rest by name. What they mean is json_schema.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_part.h"

namespace tl {

// Of a type; what has none says all.
struct SchemaKeyword {
  std::string_view name, type;
};

struct SchemaKeywords {
  std::vector<std::string> types;  // none: any
  std::vector<SchemaKeyword> keywords;
};

// Without a "type" a keyword of one implies it.
SchemaKeywords KeywordsOf(const JsonPart& part);

bool HasType(simdjson::dom::element value, std::string_view type);

struct SchemaBounds {
  int64_t min;
  int64_t max;  // GrammarNode::kNoMaximum

  std::string Times() const;  // "{2,5}", as a grammar has it
};

// Those of two keywords.
SchemaBounds BoundsOf(const JsonPart& part, std::string_view min,
                      std::string_view max);

}  // namespace tl
