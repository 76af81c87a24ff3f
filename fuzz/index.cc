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

// A SafeTensors file of one tensor.
std::string FileOf(std::string_view tensor) {
  const std::string header = fmt::format(
      R"({{"{}":{{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}}})", tensor);
  const uint64_t size = header.size();
  std::string file(reinterpret_cast<const char*>(&size), sizeof(size));
  return file + header + std::string(4, '\x3c');
}

class InputFolder : public FuzzFolder {
 public:
  InputFolder() {
    std::filesystem::create_directories(Path("m/sub"));
    Write("secret.safetensors", FileOf("secret"));
    Write("m/a.safetensors", FileOf("a"));
    Write("m/b.safetensors", FileOf("b"));
    Write("m/sub/c.safetensors", FileOf("c"));
    Write("m/short.safetensors", FileOf("d").substr(0, 40));
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
