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

// Which tensors a layer has, and what they are called.
enum class Naming {
  kTwoNorms,   // Llama and most others
  kFourNorms,  // norms before and after both halves of a layer: Gemma 2 and 3
  kFused,      // q, k and v in one matrix, gate and up in another: Phi-3
  kGpt2,       // the same for q, k and v, and matrices transposed
  kBert,       // an encoder: norms after both halves of a layer
  kMixtral,    // several feed-forward networks: experts
  kQwenMoe,    // experts, and one that is asked each time
};

struct Family {
  std::string_view model_type;  // in config.json
  std::string_view arch;        // general.architecture
  std::string_view class_name = "";  // of transformers, in config.json
  Naming naming = Naming::kTwoNorms;
  bool paired_rows = false;   // rows of attn_q and attn_k are in pairs in GGUF
  bool norms_plus_1 = false;  // norms are stored as w + 1 in GGUF

  bool has_experts() const {
    return naming == Naming::kMixtral || naming == Naming::kQwenMoe;
  }
};

// Whose config.json can be read and written, too.
const Family* FamilyOfModelType(std::string_view model_type);
// Of a GGUF model: its general.architecture, and whether it has experts, as
// Mixtral calls itself "llama", too.
struct Architecture {
  std::string_view name;
  bool experts = false;
};
// For "llama", the family that is called so.
const Family* FamilyOfArchitecture(const Architecture& architecture);
std::string FamilyNames();  // "gemma, gemma2, ..."
// The same and some more, of which only the tensors can be converted.
const Family* TensorFamilyOf(const Architecture& architecture);
std::string TensorFamilyNames();

// Whether transformers computes the tensor of this name from config.json, so
// that its models have none.
bool IsOnlyInGguf(std::string_view name);
// The other way around: buffers that old models of Hugging Face carry.
bool IsOnlyInHuggingFace(std::string_view name);

// Of attention, which the rows of q and k depend on.
struct HeadCounts {
  int64_t heads = 0;
  int64_t kv_heads = 0;
};

struct Renamed {
  std::string name;
  RowChange change;
  // A tensor of one expert, which is a part of that of all in GGUF.
  std::optional<int64_t> expert;
};

// Nothing for a name that is not of the family.
std::optional<Renamed> ToGgufName(const Family& family, std::string_view name,
                                  const HeadCounts& heads);
// Of a tensor that holds those of all experts, the name of this one's.
std::optional<Renamed> ToHuggingFaceName(const Family& family,
                                         std::string_view name,
                                         const HeadCounts& heads,
                                         int64_t expert = 0);
// Whether the tensor of GGUF holds those of all experts.
bool IsOfAllExperts(std::string_view gguf_name);

}  // namespace tl
