// What `tl info` found out about a model, and the two ways of showing it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "format/companion.h"
#include "format/inspect.h"
#include "format/model.h"

namespace tl {

struct FileReport {
  const MappedFile* file = nullptr;
  std::string sha256;  // empty unless asked for
};

// Points into the model, which outlives it.
struct ModelReport {
  const Model* model = nullptr;
  ModelSummary summary;
  std::vector<FileReport> files;
  // Those that the filter lets through. What few of them have, or only when it
  // is asked for, is kept beside them: there may be 100,000.
  std::vector<const TensorEntry*> tensors;
  std::unordered_map<const TensorEntry*, Companion> companions;  // not plain
  // Of each of `tensors`, or empty; nothing for types without numbers.
  std::vector<std::optional<TensorStats>> stats;
  std::optional<CheckReport> check;

  const Companion* FindCompanionOf(const TensorEntry& entry) const {
    const auto found = companions.find(&entry);
    return found == companions.end() ? nullptr : &found->second;
  }
};

std::string ToText(const ModelReport& report);
std::string ToJson(const ModelReport& report);

// For JSON: in double quotes; what is not UTF-8 becomes U+FFFD.
std::string JsonString(std::string_view text);

}  // namespace tl
