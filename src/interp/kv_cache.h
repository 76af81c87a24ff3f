// Keys and values of the positions that a language model has seen, so that the
// next ones need not compute them again. One buffer for each layer, made for
// `capacity` positions when the first are written and written in place from
// then on; `keys` and `values` have [capacity, kv_heads, dim]. Both are lazy as
// all tensors are: an append may turn out to fail long after it was made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "interp/models.h"
#include "interp/tensor_runtime.h"
#include "interp/value.h"
#include "lang/ast.h"

namespace tl {

class KvCache {
 public:
  KvCache(int64_t layers, int64_t capacity, TensorRuntime& runtime,
          Models& models)
      : layers_(static_cast<size_t>(layers)),
        capacity_(capacity),
        runtime_(runtime),
        models_(models),
        entry_(runtime.entry()) {}

  struct Layer {
    TensorRef keys, values;  // null before the first positions
    int64_t length = 0;      // positions written
    // Lengths before those appends that may still be pending, the last `own`
    // of them of the running entry, and the length to go back to if it fails.
    std::vector<int64_t> before;
    int64_t own = 0;
    int64_t start = 0;
  };

  int64_t layers() const { return static_cast<int64_t>(layers_.size()); }
  int64_t capacity() const { return capacity_; }
  const Layer& layer(int64_t index);
  // Positions that every layer has: while layers are written one after the
  // other, those before.
  int64_t position();

  // Writes keys and values [seq, kv_heads, dim] behind the others of the layer.
  // Fails, changing nothing, if there is no room or the shapes do not fit.
  void Append(int64_t layer, const TensorRef& keys, const TensorRef& values);
  // Takes the last Append to a layer back.
  void Restore(int64_t layer, Layer before) {
    layers_[layer] = std::move(before);
  }
  // Forgets all positions from `length` on.
  void Truncate(int64_t length);
  // The positions of a layer: [length, kv_heads, dim].
  TensorRef Keys(int64_t layer);
  TensorRef Values(int64_t layer);

  // As a SafeTensors file with the tensors blk.0.k, blk.0.v ..
  void Save(const std::string& path);
  void Load(const std::string& path);
  std::shared_ptr<KvCache> Copy();

 private:
  // Takes back what an entry of a session wrote that failed or was interrupted
  // since: to be called first by all that looks at the layers.
  void Settle();
  void TakeBack(Layer& layer);
  void DropWhatFails(Layer& layer);
  static void StepBack(Layer& layer);
  TensorRef Room(const TensorRef& like) const;
  TensorRef Written(TensorRef buffer, int64_t at, const TensorRef& part);
  TensorRef Part(const TensorRef& buffer, int64_t length);
  void RequireFit(const Layer& layer, const TensorRef& keys,
                  const TensorRef& values) const;

  std::vector<Layer> layers_;
  int64_t capacity_;
  TensorRuntime& runtime_;
  Models& models_;
  TensorRuntime::EntryPtr entry_;  // of a session, when the cache was last used
};

// A cache, or one layer of it (`cache[l]`).
class CacheValue final : public Handle {
 public:
  static constexpr int64_t kWhole = -1;

  explicit CacheValue(std::shared_ptr<KvCache> cache, int64_t layer = kWhole)
      : cache_(std::move(cache)), layer_(layer) {}

  static Value Make(std::shared_ptr<KvCache> cache, int64_t layer = kWhole) {
    return Value::Adopt(new CacheValue(std::move(cache), layer));
  }

  KvCache& cache() const { return *cache_; }
  // The layer, of a cache that is one, or has only one. Fails for all others.
  int64_t OnlyLayer() const;

  std::string_view type_name() const override { return "cache"; }
  TypeKind type() const override { return TypeKind::kCache; }
  std::string ToString() const override;
  Value FindMember(std::string_view name) const override;
  Value CallMethod(std::string_view name, std::span<const Value> arguments,
                   const std::vector<std::string>& names) override;
  Value Index(const Value& key) const override;
  int64_t Length() const override;  // layers
  Value Copy() const override;

 private:
  int64_t LayerOf(const Value& index) const;

  std::shared_ptr<KvCache> cache_;
  int64_t layer_;
};

}  // namespace tl
