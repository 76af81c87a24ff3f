// Any bytes as a CoreML model: the first says whether the rest is a file, the
// specification and then the weights of a package, or the text of a compiled
// program. Loading may refuse it, by a tl::Error and nothing else; so may the
// first use of a tensor that is compressed.

#include "format/coreml.h"

#include <algorithm>
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
    std::filesystem::create_directories(Path("p/Data/weights"));
    std::filesystem::create_directories(Path("c/weights"));
    Write("p/Manifest.json", R"({"fileFormatVersion": "1.0.0",
        "itemInfoEntries": {"A": {"path": "model.mlmodel"}},
        "rootModelIdentifier": "A"})");
  }

  // The model's path.
  std::string WriteModel(std::string_view bytes) const {
    const char form = bytes.empty() ? 'f' : bytes[0];
    if (!bytes.empty()) bytes.remove_prefix(1);
    if (form == 'c') {
      Write("c/model.mil", bytes);
      return Path("c");
    }
    if (form != 'p' || bytes.size() < 2) {
      return Write("m.mlmodel", bytes);
    }
    const size_t spec = std::min<size_t>(
        static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]),
        bytes.size() - 2);
    Write("p/Data/model.mlmodel", bytes.substr(2, spec));
    Write("p/Data/weights/weight.bin", bytes.substr(2 + spec));
    return Path("p");
  }
};

void TryModel(std::string_view bytes) {
  static const InputFolder folder;
  const std::string path = folder.WriteModel(bytes);
  Model model;
  if (!Accepts([&] { model = LoadModel(path); })) return;
  Inspect(model);
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tl::Budget budget(size);
  tl::TryModel({reinterpret_cast<const char*>(data), size});
  return 0;
}
