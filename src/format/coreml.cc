// A CoreML model in one file, .mlmodel: a protobuf message, the numbers of its
// layers inside (format/coreml_cut.h). Models in folders are coreml_folder.cc.

#include "format/coreml.h"

#include <algorithm>
#include <filesystem>

#include "format/coreml_cut.h"
#include "format/coreml_loader.h"
#include "format/formats.h"

namespace tl {

const CoreMl* CoreMl::Of(const Model& model) {
  return dynamic_cast<const CoreMl*>(model.program().get());
}

std::string_view CoreMl::NameAt(const void* message) const {
  const auto found = tensors_.find(message);
  return found == tensors_.end() ? std::string_view() : found->second;
}

std::string_view CoreMl::TensorOf(
    const coreml::spec::Operation& operation) const {
  return NameAt(&operation);
}

std::string_view CoreMl::TensorOf(
    const coreml::spec::WeightParams& weights) const {
  return NameAt(&weights);
}

std::span<const std::byte> CoreMl::BlobOf(
    const coreml::spec::Value& value) const {
  const auto found = blobs_.find(&value);
  return found == blobs_.end() ? std::span<const std::byte>() : found->second;
}

const coreml::spec::Block* CoreMlBodyOf(
    const coreml::spec::Function& function) {
  const auto& blocks = function.block_specializations();
  const auto block = blocks.find(function.opset());
  return block == blocks.end() ? nullptr : &block->second;
}

// A message with a small specificationVersion in field 1 and, in field 2, a
// description that begins with a message of its own (an input or output).
bool IsCoreMl(const MappedFile& file) {
  constexpr auto kMaxVersion = std::byte{30};
  const auto head = file.bytes().first(std::min<size_t>(file.size(), 16));
  if (head.size() < 8 || head[0] != std::byte{0x08} || head[1] < std::byte{1} ||
      head[1] > kMaxVersion || head[2] != std::byte{0x12}) {
    return false;
  }
  size_t i = 3;
  while (i < 8 && (head[i] & std::byte{0x80}) != std::byte{0}) ++i;
  ++i;
  return i < head.size() &&
         (head[i] == std::byte{0x0a} || head[i] == std::byte{0x52});
}

Model LoadCoreMl(std::shared_ptr<const MappedFile> file) {
  const std::string path = file->path();
  auto spec = ParseCoreMlSpec(*file);
  return CoreMlLoader(path, std::move(spec), std::move(file),
                      std::filesystem::path(path).parent_path())
      .Load();
}

}  // namespace tl
