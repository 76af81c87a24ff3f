// Any bytes as a GGUF file. Loading may refuse it, by a tl::Error and nothing
// else. What was loaded can be inspected, saved, and laid out as Hugging
// Face's, and its metadata leads through text back to what it was.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "format/config.h"
#include "format/gguf_header.h"
#include "format/metadata_text.h"
#include "format/model_layout.h"
#include "format/save.h"
#include "model_promises.h"

namespace tl {
namespace {

template <class T>
std::string Raw(T number) {
  return {reinterpret_cast<const char*>(&number), sizeof(number)};
}

// The input is the first of two parts, where it says that there are two. The
// other part is empty and says that it is the second.
std::string SecondPart() {
  const std::string key = "split.no";
  const std::string part = "GGUF" + Raw(uint32_t{3}) + Raw(uint64_t{0}) +
                           Raw(uint64_t{1}) + Raw(uint64_t{key.size()}) + key;
  return part + Raw(uint32_t{2}) + Raw(uint16_t{1});
}

void TryMetadata(const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if (FromText(ToText(value)) == value) continue;
    BrokenPromise(
        fmt::format("the text of metadata {} leads back", QuoteName(key)));
  }
}

void TryLayout(Model model) {
  const ModelLayout layout = InHfLayout(std::move(model));
  for (const auto& [name, change] : layout.changes) {
    Accepts([&] { Changed(layout.model.Get(name), change); });
  }
}

void TryModel(std::string_view bytes) {
  static const FuzzFolder folder;
  folder.Write("m-00002-of-00002.gguf", SecondPart());
  const std::string path = folder.Write("m-00001-of-00002.gguf", bytes);
  Model model;
  if (!Accepts([&] { model = LoadModel(path); })) return;
  Accepts([&] { ConfigOf(model); });
  TryMetadata(model.metadata());
  Inspect(model);
  // A type that this build does not know cannot be written.
  const std::string saved = folder.Path("saved.gguf");
  if (Accepts([&] { SaveModel(model, saved); })) CheckSaved(model, saved);
  Accepts([&] { TryLayout(std::move(model)); });
}

}  // namespace
}  // namespace tl

// Without its magic a file is another format's, which fuzz/safetensors.cc is
// for.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tl::Budget budget(size);
  std::string file(tl::kGgufMagic);
  tl::TryModel(file.append(reinterpret_cast<const char*>(data), size));
  return 0;
}
