// Any bytes as a GGUF file. Loading may refuse it, by a tl::Error and nothing
// else. What was loaded can be inspected, laid out as Hugging Face's, and its
// metadata leads through text back to what it was.

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
#include "format/config.h"
#include "format/gguf_header.h"
#include "format/hf_layout.h"
#include "format/inspect.h"
#include "format/load.h"
#include "format/metadata_text.h"

namespace tl {
namespace {

// The input is the first of two parts, where it says that there are two. The
// other part is empty and says that it is the second.
class Folder {
 public:
  Folder() {
    if (mkdtemp(path_.data()) == nullptr) {
      fmt::print(stderr, "cannot make {}\n", path_);
      std::exit(1);
    }
    const std::string key = "split.no";
    std::string part = "GGUF" + Raw(uint32_t{3}) + Raw(uint64_t{0}) +
                       Raw(uint64_t{1}) + Raw(uint64_t{key.size()}) + key;
    Write("m-00002-of-00002.gguf", part + Raw(uint32_t{2}) + Raw(uint16_t{1}));
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string Write(std::string_view name, std::string_view content) const {
    const std::string path = fmt::format("{}/{}", path_, name);
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

 private:
  template <class T>
  static std::string Raw(T number) {
    return {reinterpret_cast<const char*>(&number), sizeof(number)};
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

void TryMetadata(const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if (FromText(ToText(value)) == value) continue;
    fmt::print(stderr, "broken promise: the text of metadata {} leads back\n",
               QuoteName(key));
    std::abort();
  }
}

void TryLayout(Model model) {
  const HfLayout layout = InHfLayout(std::move(model));
  for (const auto& [name, change] : layout.changes) {
    Accepts([&] { Changed(layout.model.Get(name), change); });
  }
}

void TryModel(std::string_view bytes) {
  static const Folder folder;
  const std::string path = folder.Write("m-00001-of-00002.gguf", bytes);
  Model model;
  if (!Accepts([&] { model = LoadModel(path); })) return;
  Accepts([&] { ConfigOf(model); });
  TryMetadata(model.metadata());
  Summarize(model);
  for (const TensorEntry& entry : model.tensors()) {
    FindCompanion(model, entry);
    ComputeStats(entry);
  }
  CheckEveryByte(model);
  Accepts([&] { TryLayout(std::move(model)); });
}

}  // namespace
}  // namespace tl

// Without its magic a file is another format's, which fuzz/safetensors.cc is
// for.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string file(tl::kGgufMagic);
  tl::TryModel(file.append(reinterpret_cast<const char*>(data), size));
  return 0;
}
