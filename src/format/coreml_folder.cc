// A package:
//   Manifest.json  {"fileFormatVersion": "1.0.0", "rootModelIdentifier": ID,
//                  "itemInfoEntries": {ID: {"path", "name", "author",
//                  "description"}, …}}
//   Data/          what the paths of the items name, below here
// The root item is the specification; where weights are, it says itself.
// Compiled models are coreml_compiled.cc.

#include "format/coreml_folder.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "format/coreml_compiled.h"
#include "format/coreml_cut.h"
#include "format/coreml_loader.h"
#include "format/json.h"
#include "format/path_within.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxManifest = 1 << 20;  // real ones have 1 KB

std::string TextOf(JsonDocument::Value value, const std::string& path,
                   std::string_view key) {
  std::string_view text;
  if (value.get_string().get(text)) {
    Fail(ErrorKind::kInput, "{}: '{}' is not a text", path, key);
  }
  return std::string(text);
}

struct Manifest {
  std::string version;
  std::string root;
  std::map<std::string, std::string> paths;  // of items, by identifier
};

void ReadItems(JsonDocument& json, JsonDocument::Value items,
               const std::string& path, Manifest& manifest) {
  for (JsonDocument::Field item : items.get_object()) {
    const std::string id(json.Key(item));
    for (JsonDocument::Field field : item.value().get_object()) {
      if (json.Key(field) == "path") {
        manifest.paths[id] = TextOf(field.value(), path, "path");
      } else {
        json.Skip(field.value());
      }
    }
  }
}

Manifest ReadManifest(const std::string& path) {
  Manifest manifest;
  JsonDocument json(
      path, simdjson::padded_string(ReadTextFile(path, kMaxManifest)), 0);
  json.ReadObject([&](JsonDocument::Object object) {
    for (JsonDocument::Field field : object) {
      const std::string_view key = json.Key(field);
      if (key == "fileFormatVersion") {
        manifest.version = TextOf(field.value(), path, key);
      } else if (key == "rootModelIdentifier") {
        manifest.root = TextOf(field.value(), path, key);
      } else if (key == "itemInfoEntries") {
        ReadItems(json, field.value(), path, manifest);
      } else {
        json.Skip(field.value());
      }
    }
  });
  return manifest;
}

void CheckVersion(const std::string& path, const std::string& version) {
  if (version.starts_with("1.0.") || version.starts_with("0.")) return;
  Fail(ErrorKind::kInput,
       "{}: is a package of version {}, this build reads up to 1.0.0", path,
       QuoteName(version));
}

// The specification's file.
std::string RootOf(const std::string& package) {
  const std::string path = (fs::path(package) / "Manifest.json").string();
  const Manifest manifest = ReadManifest(path);
  CheckVersion(path, manifest.version);
  const auto item = manifest.paths.find(manifest.root);
  if (item == manifest.paths.end()) {
    Fail(ErrorKind::kInput, "{}: names no file for its root model {}", path,
         QuoteName(manifest.root));
  }
  return PathWithin((fs::path(package) / "Data").string(), item->second, path);
}

Model LoadPackage(const std::string& path) {
  auto file = MappedFile::Open(RootOf(path));
  const fs::path folder = fs::path(file->path()).parent_path();
  auto spec = ParseCoreMlSpec(*file);
  return CoreMlLoader(path, std::move(spec), std::move(file), folder).Load();
}

}  // namespace

bool IsCoreMlFolder(const std::vector<std::string>& names) {
  const auto has = [&](std::string_view name) {
    return std::ranges::find(names, name) != names.end();
  };
  return (has("Manifest.json") && has("Data")) || IsCompiledCoreMl(names);
}

Model LoadCoreMlFolder(const std::string& path) {
  std::error_code error;
  const bool package = fs::exists(fs::path(path) / "Manifest.json", error);
  return package ? LoadPackage(path) : LoadCompiledCoreMl(path);
}

}  // namespace tl
