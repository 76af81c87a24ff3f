// Types of whole files, as llama.cpp names them: "q4_k_m" is mostly Q4_K, with
// more bits for the tensors that need them. Which tensor gets which type
// follows llama.cpp's own quantiser (llama-quant.cpp, without an importance
// matrix), so that a file from here and one from there are the same mix. The
// names and numbers stand in file_type.cc; for people:
// docs/en/gguf_quantization.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace tl {

struct FileType {
  std::string_view name;
  uint32_t number;  // general.file_type
  DType base;       // of most tensors
};

// "q4_k" is "q4_k_m", as there; upper case is the same. Fails with the names of
// all types.
const FileType& FindFileType(std::string_view name);
// What a file's general.file_type says it is: "q4_k_m", or "" for a number that
// is not known. A label of the whole: the tensors say themselves what they are.
std::string_view FileTypeOfNumber(int64_t number);
// Whether FindFileType knows the name: some types of a file are only read.
bool CanWriteFileType(std::string_view name);
// The number of the plainest type of a file whose base this is.
std::optional<uint32_t> NumberOfBase(DType base);
// For help and completion: every name that can be written.
std::vector<std::string_view> FileTypeNames();

// What the mix depends on besides a tensor's name and shape; 0 where unknown.
struct MixFacts {
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t experts = 0;
  bool has_output = false;  // else the token embedding is the output, too
};

// The 3 of "blk.3.attn_v.weight" and "model.layers.3.self_attn.v_proj.weight".
std::optional<int64_t> LayerOf(std::string_view name);

// The type of a floating tensor of this name (GGUF's or Hugging Face's) and
// row-major shape. Vectors, norms and the like are F32.
DType TypeInFile(const FileType& type, const MixFacts& facts,
                 std::string_view name, const std::vector<int64_t>& shape);

}  // namespace tl
