// What `tl info` shows of a model: totals, statistics of the stored numbers,
// digests, and a check that reads every byte. Data only; cli prints it, with
// the metadata, the notes and the tensors that Model has itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/model.h"

namespace tl {

struct TypeTotal {
  std::string type;
  int64_t tensors = 0;
  int64_t elements = 0;
  int64_t bytes = 0;
};

struct ModelSummary {
  int64_t file_bytes = 0;        // of all files together, headers included
  int64_t parameters = 0;        // elements of all tensors
  std::vector<TypeTotal> types;  // most bytes first
};

ModelSummary Summarize(const Model& model);

struct TensorStats {
  int64_t elements = 0;
  int64_t nan = 0;
  int64_t infinite = 0;
  int64_t overflow = 0;  // finite, but infinite as float16
  int64_t flushed = 0;   // not zero, but zero as float16
  // Over the finite elements; 0 when there are none.
  double min = 0;
  double max = 0;
  double mean = 0;
};

// Of the stored numbers, before any scale. Nothing for types whose elements
// have no value of their own (tensor/decode.h). Runs on all threads; the result
// does not depend on how many. Call Model::CheckIntact() afterwards.
std::optional<TensorStats> ComputeStats(const TensorEntry& entry);

// Of one file. Fails when the file changes meanwhile.
std::string Sha256OfFile(const MappedFile& file);

struct CheckReport {
  int64_t bytes = 0;  // read
  // What loading does not look at and is wrong, one line each.
  std::vector<std::string> findings;
};

// Reads every byte of every tensor. Fails when one cannot be read.
CheckReport CheckEveryByte(const Model& model);

}  // namespace tl
