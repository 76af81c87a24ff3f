// Any bytes as a CoreML model: the first says whether the rest is a file, the
// specification and then the weights of a package, or the text of a compiled
// program. Loading may refuse it, by a tl::Error and nothing else; so may the
// first use of a tensor that is compressed.

#include "format/coreml.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "format/companion.h"
#include "format/inspect.h"
#include "format/load.h"

namespace tl {
namespace {

class Folder {
 public:
  Folder() {
    if (mkdtemp(path_.data()) == nullptr) {
      fmt::print(stderr, "cannot make {}\n", path_);
      std::exit(1);
    }
    std::filesystem::create_directories(path_ + "/p/Data/weights");
    std::filesystem::create_directories(path_ + "/c/weights");
    Write("p/Manifest.json", R"({"fileFormatVersion": "1.0.0",
        "itemInfoEntries": {"A": {"path": "model.mlmodel"}},
        "rootModelIdentifier": "A"})");
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // The model's path.
  std::string Write(std::string_view bytes) const {
    const char form = bytes.empty() ? 'f' : bytes[0];
    if (!bytes.empty()) bytes.remove_prefix(1);
    if (form == 'c') {
      Write("c/model.mil", bytes);
      return path_ + "/c";
    }
    if (form != 'p' || bytes.size() < 2) {
      Write("m.mlmodel", bytes);
      return path_ + "/m.mlmodel";
    }
    const size_t spec = std::min<size_t>(
        static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]),
        bytes.size() - 2);
    Write("p/Data/model.mlmodel", bytes.substr(2, spec));
    Write("p/Data/weights/weight.bin", bytes.substr(2 + spec));
    return path_ + "/p";
  }

 private:
  void Write(std::string_view name, std::string_view content) const {
    std::ofstream(fmt::format("{}/{}", path_, name), std::ios::binary)
        << content;
  }

  std::string path_ = std::filesystem::temp_directory_path() / "tl_fuzz_XXXXXX";
};

// False if f() refused the input.
template <class F>
bool Accepts(F&& f) {
  try {
    std::forward<F>(f)();
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return false;
  }
}

void TryModel(std::string_view bytes) {
  static const Folder folder;
  const std::string path = folder.Write(bytes);
  Model model;
  if (!Accepts([&] { model = LoadModel(path); })) return;
  Summarize(model);
  for (const TensorEntry& entry : model.tensors()) {
    FindCompanion(model, entry);
    Accepts([&] { ComputeStats(entry); });
  }
  Accepts([&] { CheckEveryByte(model); });
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tl::TryModel({reinterpret_cast<const char*>(data), size});
  return 0;
}
