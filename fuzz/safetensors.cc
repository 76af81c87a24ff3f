// Any bytes as the file of a model. Loading may refuse it, by a tl::Error and
// nothing else. What was loaded can be paired with its scales, inspected, and
// saved, and is the same afterwards.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "format/companion.h"
#include "format/config.h"
#include "format/diff.h"
#include "format/inspect.h"
#include "format/load.h"
#include "format/save.h"

namespace tl {
namespace {

// A temporary folder, with the input under the names that loading looks for.
// Saving waits for the disk: TMPDIR=/dev/shm makes this much faster.
class Folder {
 public:
  Folder() {
    if (mkdtemp(path_.data()) == nullptr) {
      fmt::print(stderr, "cannot make {}\n", path_);
      std::exit(1);
    }
    // What an input that is the index of several files may name.
    Write("other.safetensors", OtherShard());
    // An index is JSON: it is also tried as the configuration beside it.
    Write("input.safetensors", "");
    std::filesystem::create_hard_link(Path("input.safetensors"),
                                      Path("config.json"));
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", path_, name);
  }
  void Write(std::string_view name, std::string_view content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
  }

 private:
  static std::string OtherShard() {
    const std::string header =
        R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})";
    const uint64_t size = header.size();
    std::string file(reinterpret_cast<const char*>(&size), sizeof(size));
    return file + header + std::string(4, '\x3c');
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

void Inspect(const Model& model) {
  Summarize(model);
  for (const TensorEntry& entry : model.tensors()) {
    FindCompanion(model, entry);
    ComputeStats(entry);
  }
  CheckEveryByte(model);
}

void SaveAndCompare(const Model& model, const std::string& path) {
  SaveModel(model, path);
  const Model saved = LoadModel(path);
  const ModelDifference difference = Compare(model, saved);
  if (difference.tensors.empty()) return;
  fmt::print(stderr, "broken promise: tensor {} is saved as it was loaded\n",
             QuoteName(difference.tensors[0].name));
  std::abort();
}

void TryModel(std::string_view bytes) {
  static const Folder folder;
  folder.Write("input.safetensors", bytes);
  Model model;
  if (!Accepts([&] { model = LoadModel(folder.Path("input.safetensors")); })) {
    return;
  }
  Accepts([&] { ConfigOf(model); });
  Inspect(model);
  SaveAndCompare(model, folder.Path("saved.safetensors"));
}

// Where the data begins, if the bytes have a header.
size_t HeaderEnd(const uint8_t* data, size_t size) {
  uint64_t header;
  if (size < sizeof(header)) return 0;
  std::memcpy(&header, data, sizeof(header));
  return header <= size - sizeof(header) ? sizeof(header) + header : 0;
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tl::TryModel({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max);

// A header whose length is wrong is refused at once: most mutations are of the
// header's text alone, with the length and the data moved along.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max, unsigned seed) {
  const size_t before = sizeof(uint64_t);
  const size_t end = tl::HeaderEnd(data, size);
  if (end <= before || seed % 4 == 0) return LLVMFuzzerMutate(data, size, max);
  const std::vector<uint8_t> tensors(data + end, data + size);
  const uint64_t header = LLVMFuzzerMutate(data + before, end - before,
                                           max - before - tensors.size());
  std::memcpy(data, &header, before);
  std::copy(tensors.begin(), tensors.end(), data + before + header);
  return before + header + tensors.size();
}
