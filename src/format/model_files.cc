#include "format/model_files.h"

#include <array>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "format/gguf_split.h"
#include "format/path_within.h"
#include "format/shards.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

constexpr auto kBeside = std::to_array<std::string_view>({
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "additional_chat_templates",
    "adapter_config.json",
    "modules.json",
    "1_Pooling",
});
constexpr std::string_view kIndexEnding = ".safetensors.index.json";
constexpr std::string_view kCoreMlEnding = ".mlmodel";
constexpr std::string_view kCoreMlWeights = "weights";

// An index that cannot be read names nothing; who opens it is told why.
std::vector<std::string> ShardsNamedBy(const std::string& index) {
  try {
    const auto shards = ShardsOfIndex(index);
    return {shards.begin(), shards.end()};
  } catch (const Error&) {
    return {};
  }
}

std::vector<std::string> NamesBeside(const std::string& path) {
  std::vector<std::string> names(kBeside.begin(), kBeside.end());
  if (path.ends_with(kCoreMlEnding)) names.emplace_back(kCoreMlWeights);
  if (path.ends_with(kIndexEnding)) {
    for (std::string& shard : ShardsNamedBy(path)) {
      names.push_back(std::move(shard));
    }
  }
  if (auto part = FindGgufPartName(fs::path(path).filename().string())) {
    const int64_t count = part->count;
    for (part->number = 1; part->number <= count; ++part->number) {
      names.push_back(part->path());
    }
  }
  return names;
}

}  // namespace

std::vector<std::string> FilesOfModel(const std::string& path) {
  std::vector<std::string> files = {path};
  std::error_code error;
  if (fs::is_directory(path, error)) {
    const std::string blobs = BlobsOfHubCache(path);
    if (!blobs.empty()) files.push_back(blobs);
    return files;
  }
  const fs::path folder = fs::path(path).parent_path();
  for (const std::string& name : NamesBeside(path)) {
    std::string file = (folder / name).string();
    if (fs::exists(file, error) && LiesWithin(folder.string(), file)) {
      files.push_back(std::move(file));
    }
  }
  return files;
}

}  // namespace tl
