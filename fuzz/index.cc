// Any bytes as the index of a model of several files. It may name files beside
// it, and no other: a file in the folder above holds a tensor "secret". Loading
// may refuse the index, by a tl::Error and nothing else.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "model_promises.h"

namespace tl {
namespace {

class InputFolder : public FuzzFolder {
 public:
  InputFolder() {
    std::filesystem::create_directories(Path("m/sub"));
    Write("secret.safetensors", SmallSafeTensors("secret"));
    Write("m/a.safetensors", SmallSafeTensors("a"));
    Write("m/b.safetensors", SmallSafeTensors("b"));
    Write("m/sub/c.safetensors", SmallSafeTensors("c"));
    Write("m/short.safetensors", SmallSafeTensors("d").substr(0, 40));
  }
};

void TryIndex(std::string_view bytes) {
  static const InputFolder folder;
  folder.Write("m/model.safetensors.index.json", bytes);
  Model model;
  // The folder, as people name it.
  if (!Accepts([&] { model = LoadModel(folder.Path("m")); })) return;
  Promise(model.Find("secret") == nullptr,
          "an index names no file outside of its folder");
  Inspect(model);
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tl::Budget budget(size);
  tl::TryIndex({reinterpret_cast<const char*>(data), size});
  return 0;
}
