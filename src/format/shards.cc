#include "format/shards.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "format/formats.h"
#include "format/json.h"
#include "format/path_within.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

// An index has about 100 bytes for each tensor; this is room for a million.
constexpr int64_t kMaxIndex = 100'000'000;

using WeightMap = std::map<std::string, std::string>;

// Shards lie beside their index. A name that leads elsewhere would let a
// downloaded model read any file of the user.
void CheckShardName(const std::string& index, const std::string& name) {
  if (name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos || name.starts_with('.') ||
      !name.ends_with(".safetensors")) {
    Fail(ErrorKind::kInput,
         "{}: {} cannot be a shard: it must be the plain name of a "
         ".safetensors file beside the index",
         index, QuoteName(name));
  }
}

WeightMap ParseWeightMap(const std::string& path, std::string_view text) {
  WeightMap shards;
  JsonDocument document(path, simdjson::padded_string(text), 0);
  bool seen = false;
  document.ReadObject([&](JsonDocument::Object object) {
    for (JsonDocument::Field field : object) {
      if (document.Key(field) != "weight_map") {
        document.Skip(field.value());
        continue;
      }
      if (std::exchange(seen, true)) {
        Fail(ErrorKind::kInput, "{}: 'weight_map' is there twice", path);
      }
      for (JsonDocument::Field entry : field.value().get_object()) {
        const std::string name(document.Key(entry));
        std::string_view shard_name;
        if (entry.value().get_string().get(shard_name)) {
          Fail(ErrorKind::kInput, "{}: the file of tensor {} is not a text",
               path, QuoteName(name));
        }
        const std::string shard(shard_name);
        CheckShardName(path, shard);
        if (!shards.try_emplace(name, shard).second) {
          Fail(ErrorKind::kInput, "{}: tensor {} is there twice", path,
               QuoteName(name));
        }
      }
    }
  });
  if (!seen) Fail(ErrorKind::kInput, "{}: has no 'weight_map'", path);
  return shards;
}

WeightMap ReadIndex(const MappedFile& index) {
  if (index.size() > kMaxIndex) {
    Fail(ErrorKind::kInput, "{}: {} bytes, at most {} are read", index.path(),
         index.size(), kMaxIndex);
  }
  WeightMap weights = ParseWeightMap(
      index.path(), {reinterpret_cast<const char*>(index.bytes().data()),
                     index.bytes().size()});
  index.CheckIntact();
  return weights;
}

Model OpenShard(const std::string& path) {
  auto file = MappedFile::Open(path);
  return LoadSafeTensors(std::move(file));
}

// Tensors of `shard` that the index puts elsewhere are stale copies; those that
// it does not know are kept, since an index is forgotten more often than a
// file.
class ShardMerger {
 public:
  ShardMerger(const std::string& path, const WeightMap& shards)
      : shards_(shards), model_(path, kSafeTensors) {}

  void Merge(const std::string& name, const Model& shard) {
    for (const TensorEntry& entry : shard.tensors()) {
      const auto it = shards_.find(entry.name);
      if (it == shards_.end()) {
        unlisted_.push_back(&entry);
      } else if (it->second == name) {
        model_.Add(entry);
      } else {
        ++stale_;
      }
    }
    for (const auto& [key, value] : shard.metadata()) {
      model_.metadata().Add(key, value);
    }
  }

  Model Finish() {
    std::string example;
    int kept = 0;
    for (const TensorEntry* entry : unlisted_) {
      if (model_.Find(entry->name) != nullptr) continue;
      if (kept++ == 0) example = QuoteName(entry->name);
      model_.Add(*entry);
    }
    if (kept > 0) {
      model_.AddNote(fmt::format(
          "{} of the tensors are not in the index, such as {}", kept, example));
    }
    if (stale_ > 0) {
      model_.AddNote(fmt::format(
          "{} tensors are left out: the index has them in another file",
          stale_));
    }
    return std::move(model_);
  }

 private:
  const WeightMap& shards_;
  Model model_;
  std::vector<const TensorEntry*> unlisted_;
  int64_t stale_ = 0;
};

}  // namespace

std::set<std::string> ShardsOfIndex(const std::string& path) {
  std::set<std::string> shards;
  for (const auto& [name, shard] : ReadIndex(*MappedFile::Open(path))) {
    shards.insert(shard);
  }
  return shards;
}

Model LoadShardIndex(const std::string& path,
                     std::shared_ptr<const MappedFile> index) {
  const std::string& index_path = index->path();
  const WeightMap weights = ReadIndex(*index);

  std::map<std::string, Model> shards;
  for (const auto& [name, shard] : weights) {
    if (shards.contains(shard)) continue;
    const std::string file = PathWithin(
        fs::path(index_path).parent_path().string(), shard, index_path);
    shards.emplace(shard, WithNote([&] { return OpenShard(file); },
                                   [&] {
                                     return fmt::format(
                                         "the index {} has tensor {} there",
                                         index_path, QuoteName(name));
                                   }));
  }
  ShardMerger merger(path, weights);
  for (const auto& [name, shard] : shards) merger.Merge(name, shard);
  for (const auto& [name, shard] : weights) {
    if (shards.at(shard).Find(name) == nullptr) {
      Fail(ErrorKind::kInput,
           "{}: tensor {} is not in {}, where the index has it", index_path,
           QuoteName(name), QuoteName(shard));
    }
  }
  return merger.Finish();
}

Model LoadFilesTogether(const std::string& path,
                        const std::vector<std::string>& files) {
  Model model(path, kSafeTensors);
  for (const std::string& file : files) {
    const Model part = OpenShard(file);
    for (const TensorEntry& entry : part.tensors()) {
      if (const TensorEntry* other = model.Find(entry.name)) {
        Fail(ErrorKind::kInput, "{}: tensor {} is in both {} and {}", path,
             QuoteName(entry.name), other->file->path(), file);
      }
      model.Add(entry);
    }
    for (const auto& [key, value] : part.metadata()) {
      model.metadata().Add(key, value);
    }
  }
  return model;
}

}  // namespace tl
