// Any bytes as a LoRA adapter for a small model in both of its layouts, and as
// the configuration beside one. They may be refused, by a tl::Error and nothing
// else; what an adapter was planned to change fits the model.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "format/lora_adapter.h"
#include "format/model_layout.h"
#include "format/peft_config.h"
#include "model_promises.h"

namespace tl {
namespace {

constexpr char kModelConfig[] =
    R"({"model_type":"llama","num_attention_heads":2,)"
    R"("num_key_value_heads":1,"hidden_size":4})";
constexpr char kModelHeader[] =
    R"({"model.embed_tokens.weight":{"dtype":"F16","shape":[3,4],)"
    R"("data_offsets":[0,24]},"model.layers.0.self_attn.q_proj.weight":)"
    R"({"dtype":"F16","shape":[4,4],"data_offsets":[24,56]}})";
constexpr char kConfig[] = R"({"peft_type":"LORA","r":2,"lora_alpha":1})";

class AdapterFolder : public FuzzFolder {
 public:
  AdapterFolder() {
    const std::string header = kModelHeader;
    const uint64_t size = header.size();
    std::string file(reinterpret_cast<const char*>(&size), sizeof(size));
    Write("model.safetensors", file + header + std::string(56, '\x3c'));
    Write("config.json", kModelConfig);
    std::filesystem::create_directory(Path("adapter"));
    Write("adapter/adapter_config.json", kConfig);
    plain = LoadModel(Path("model.safetensors"));
    gguf = InGgufLayout(LoadModel(Path("model.safetensors"))).model;
  }
  Model plain, gguf;
};

void TryAdapter(const std::string& path, const Model& model) {
  Accepts([&] {
    for (const AdapterChange& change : ReadAdapter(path, model, 1)) {
      model.Get(change.name);
      for (const auto* matrix :
           {&change.whole, &change.left, &change.right, &change.magnitude}) {
        if (*matrix) ComputeStats((*matrix)->Made());
      }
    }
  });
}

void Try(std::string_view bytes) {
  static const AdapterFolder folder;
  const std::string path =
      folder.Write("adapter/adapter_model.safetensors", bytes);
  TryAdapter(path, folder.plain);
  TryAdapter(path, folder.gguf);
  const std::string config = folder.Write("input.json", bytes);
  Accepts([&] { ReadPeftConfig(config).ScalingOf("model.q_proj"); });
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tl::Budget budget(size);
  tl::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
