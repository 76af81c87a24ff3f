// A model on its way to a file: which tensors, in which types, made from which
// stored bytes. Planned in full before the first byte is written, so that what
// cannot be written fails at once. The plan is format/save_plan.h, the bytes
// are format/recode.h, the files gguf_writer.h and safetensors_writer.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/model.h"

namespace tl {

// What is done to the rows of a matrix (or the elements of a vector) besides
// changing their type. Format/layout_change.h checks that it can be.
struct RowChange {
  // Row t of the result is row SourceRow(t) of the source. The rows of each of
  // `heads` heads are dealt into two piles, or put back: rotary embedding pairs
  // neighbours in GGUF, halves in Hugging Face's layout. 0: no such change.
  int64_t heads = 0;
  bool to_pairs = false;  // from halves to neighbours; else the other way
  // Added to each number.
  float add = 0;
  // Rows become columns, of a matrix whose shape is that of the result.
  bool transposed = false;

  bool none() const { return heads == 0 && add == 0 && !transposed; }
  // Of a matrix with `rows` rows, an even number for each head.
  int64_t SourceRow(int64_t row, int64_t rows) const {
    const int64_t in_head = rows / heads;
    const int64_t half = in_head / 2;
    const int64_t place = row % in_head;
    const int64_t from = to_pairs ? place % 2 * half + place / 2
                                  : place % half * 2 + place / half;
    return row - place + from;
  }
};

struct OutputTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::optional<DType> dtype;  // nothing: the source's unknown one
  int64_t elements = 0;
  int64_t bytes = 0;
  TensorEntry source;  // of a stack the first
  RowChange change;
  // Of a stack: what stands in it, one after the other. Not stacks again.
  std::vector<OutputTensor> parts;

  std::string_view type_name() const {
    return dtype ? Info(*dtype).name : std::string_view(source.foreign_type);
  }
  // The stored bytes as they are.
  bool verbatim() const { return dtype == source.dtype && change.none(); }
  // Whether stored blocks are decoded for it.
  bool unpacks() const {
    return source.dtype && IsPacked(*source.dtype) && dtype &&
           !IsPacked(*dtype);
  }
};

struct OutputModel {
  std::vector<OutputTensor> tensors;
  Metadata metadata;
  // Texts that go beside the model, by file name: config.json.
  std::vector<std::pair<std::string, std::string>> companions;
  // What the file will not be that one might expect, in words for people.
  std::vector<std::string> notes;
};

// For sums that do not fit into 63 bits. SaveModel() refuses what leads there
// before, naming the file.
[[noreturn]] void FailTooLarge();

// Fails so when the sum does not fit.
int64_t TotalBytes(const std::vector<OutputTensor>& tensors);

}  // namespace tl
