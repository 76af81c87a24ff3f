// Any bytes as the file of a model. Loading may refuse it, by a tl::Error and
// nothing else. What was loaded can be paired with its scales, inspected, and
// saved, and is the same afterwards.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "format/config.h"
#include "format/save.h"
#include "model_promises.h"

namespace tl {
namespace {

// With the input under the names that loading looks for.
class InputFolder : public FuzzFolder {
 public:
  InputFolder() {
    // What an input that is the index of several files may name.
    Write("other.safetensors", SmallSafeTensors("a"));
    // An index is JSON: it is also tried as the configuration beside it.
    Write("input.safetensors", "");
    std::filesystem::create_hard_link(Path("input.safetensors"),
                                      Path("config.json"));
  }
};

void TryModel(std::string_view bytes) {
  static const InputFolder folder;
  const std::string path = folder.Write("input.safetensors", bytes);
  Model model;
  if (!Accepts([&] { model = LoadModel(path); })) return;
  Accepts([&] { ConfigOf(model); });
  Inspect(model);
  const std::string saved = folder.Path("saved.safetensors");
  const auto save = [&] { SaveModel(model, saved); };
  // A file of another format may have names that SafeTensors cannot hold, and packed
  // weights, which are not saved as they were.
  if (model.format() == "SafeTensors") {
    save();
    CheckSaved(model, saved);
  } else {
    Accepts(save);
  }
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
  const tl::Budget budget(size);
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
