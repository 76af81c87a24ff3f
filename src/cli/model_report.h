// What `tl info` found out about a model, and the two ways of showing it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/companion.h"
#include "format/inspect.h"
#include "format/model.h"

namespace tl {

struct TensorReport {
  const TensorEntry* entry = nullptr;
  Companion companion;               // kPlain for types without numbers
  std::optional<TensorStats> stats;  // where asked for and possible
};

struct FileReport {
  const MappedFile* file = nullptr;
  std::string sha256;  // empty unless asked for
};

// Points into the model, which outlives it.
struct ModelReport {
  const Model* model = nullptr;
  ModelSummary summary;
  std::vector<FileReport> files;
  std::vector<TensorReport> tensors;  // those that the filter lets through
  bool has_stats = false;
  std::optional<CheckReport> check;  // where asked for
};

std::string ToText(const ModelReport& report);
std::string ToJson(const ModelReport& report);

// For JSON: in double quotes; what is not UTF-8 becomes U+FFFD.
std::string JsonString(std::string_view text);

}  // namespace tl
