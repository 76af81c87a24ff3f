// The two layouts of a language model: Hugging Face's, as transformers saves
// it, and GGUF's. The same tensors under other names, some with their rows in
// another order or with one added. The families that are known here
// are the rows of hf_names.cc. Any other is refused, not guessed: a
// wrong order of rows gives fluent nonsense.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "format/output.h"

namespace tl {

struct Family {
  std::string_view model_type;  // in config.json
  std::string_view arch;        // general.architecture
  bool paired_rows;   // rows of attn_q and attn_k stand in pairs in GGUF
  bool norms_plus_1;  // norms are stored as w + 1 in GGUF
  bool four_norms;    // norms before and after both halves of a layer
  std::string_view class_name = "";  // of transformers, in config.json
};

// Whose config.json can be read and written, too.
const Family* FamilyOfModelType(std::string_view model_type);
// For "llama", the family that is called so.
const Family* FamilyOfArchitecture(std::string_view arch);
std::string FamilyNames();  // "gemma, gemma2, ..."
// The same and some more, of which only the tensors can be converted.
const Family* TensorFamilyOf(std::string_view arch);

// Whether transformers computes the tensor of this name from config.json, so
// that its models have none.
bool IsOnlyInGguf(std::string_view name);

struct Renamed {
  std::string name;
  RowChange change;
};

// Nothing for a name that is not of the family.
std::optional<Renamed> ToGgufName(const Family& family, std::string_view name,
                                  int64_t heads, int64_t kv_heads);
std::optional<Renamed> ToHuggingFaceName(const Family& family,
                                         std::string_view name, int64_t heads,
                                         int64_t kv_heads);

}  // namespace tl
