#include "format/load.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/sandbox.h"
#include "format/coreml_folder.h"
#include "format/detect.h"
#include "format/formats.h"
#include "format/gguf_header.h"
#include "format/gguf_split.h"
#include "format/shards.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

struct FormatRow {
  bool (*is)(const MappedFile&);
  Model (*load)(std::shared_ptr<const MappedFile>);
};

constexpr auto kFormats = std::to_array<FormatRow>({
#define TL_FORMAT(id, name) {Is##id, Load##id},
#include "format/formats.def"
});

Model LoadFile(const std::string& path) {
  auto file = MappedFile::Open(path);
  for (const FormatRow& format : kFormats) {
    if (format.is(*file)) return format.load(std::move(file));
  }
  if (IsShardIndex(*file)) return LoadShardIndex(path, std::move(file));
  const std::string description = DescribeForeignFile(*file);
  if (!description.empty()) {
    Fail(ErrorKind::kInput, "{}: {}", path, description);
  }
  if (path.ends_with(".gguf")) {
    Fail(ErrorKind::kInput, "{}: does not begin with '{}', as GGUF files do",
         path, kGgufMagic);
  }
  // Nothing we know: most likely a damaged file of the usual format, and its
  // reader says best what is wrong.
  return LoadSafeTensors(std::move(file));
}

std::vector<std::string> NamesIn(const fs::path& folder) {
  RequireReadable(folder.string());
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entries(folder, error);
  if (error) {
    Fail(ErrorKind::kInput, "{}: {}", folder.string(),
         ErrnoText(error.value()));
  }
  for (const auto& entry : entries) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> EndingIn(const std::vector<std::string>& names,
                                  std::string_view ending) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    // A name that begins with a dot is hidden, or a save under way.
    if (name.ends_with(ending) && !name.starts_with('.')) found.push_back(name);
  }
  return found;
}

[[noreturn]] void FailSeveral(const std::string& path,
                              const std::vector<std::string>& names) {
  Fail(ErrorKind::kInput, "{}: holds {} models, such as {} and {}; name one",
       path, names.size(), QuoteName(names[0]), QuoteName(names[1]));
}

// A model in several parts counts as its first.
Model LoadGgufIn(const std::string& path,
                 const std::vector<std::string>& names) {
  std::vector<std::string> models;
  for (const std::string& name : names) {
    const auto part = FindGgufPartName(name);
    if (!part || part->number == 1) models.push_back(name);
  }
  if (models.size() > 1) FailSeveral(path, models);
  // Without a first part, the one that is there says what is missing.
  return LoadFile(fs::path(path) / (models.empty() ? names : models)[0]);
}

// A folder may be a model of a format of its own. Else an index knows which
// files belong together. Without one, model.safetensors is the model, and
// otherwise every such file that is there; then GGUF's turn.
Model LoadDirectory(const std::string& path) {
  const fs::path folder(path);
  const std::vector<std::string> names = NamesIn(folder);
  if (IsCoreMlFolder(names)) return LoadCoreMlFolder(path);
  const auto indices = EndingIn(names, ".safetensors.index.json");
  if (indices.size() > 1) FailSeveral(path, indices);
  if (!indices.empty()) {
    return LoadShardIndex(path, MappedFile::Open(folder / indices[0]));
  }
  std::vector<std::string> files;
  for (const std::string& name : EndingIn(names, ".safetensors")) {
    if (name == "model.safetensors") {
      files = {(folder / name).string()};
      break;
    }
    files.push_back((folder / name).string());
  }
  const auto ggufs = EndingIn(names, ".gguf");
  if (files.empty() && !ggufs.empty()) return LoadGgufIn(path, ggufs);
  if (files.empty()) {
    Fail(ErrorKind::kInput, "{}: holds no .safetensors or .gguf file", path);
  }
  return LoadFilesTogether(path, files);
}

}  // namespace

Model LoadModel(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? LoadDirectory(path) : LoadFile(path);
}

}  // namespace tl
