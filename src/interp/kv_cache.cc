#include "interp/kv_cache.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "format/load.h"
#include "interp/model_value.h"
#include "interp/tensors.h"
#include "ops/build.h"
#include "ops/indexing.h"

namespace tl {
namespace {

IndexItem Positions(int64_t begin, int64_t end) {
  IndexItem item;
  item.begin = begin;
  item.end = end;
  return item;
}

std::string NameOf(int64_t layer, std::string_view part) {
  return fmt::format("blk.{}.{}", layer, part);
}

bool IsComputed(const TensorRef& x) { return !x || AsNode(x)->has_value(); }

bool IsComputed(const KvCache::Layer& layer) {
  return IsComputed(layer.keys) && IsComputed(layer.values);
}

}  // namespace

// What was written stays in the buffer, behind the positions that count. A
// buffer that waits to be written is the first input of the writing.
void KvCache::StepBack(Layer& layer) {
  layer.length = std::min(layer.length, layer.before.back());
  layer.before.pop_back();
  for (TensorRef* buffer : {&layer.keys, &layer.values}) {
    if (!IsComputed(*buffer)) *buffer = TensorRef(AsNode(*buffer)->inputs()[0]);
  }
}

void KvCache::TakeBack(Layer& layer) {
  for (; layer.own > 0; --layer.own) StepBack(layer);
  layer.length = std::min(layer.length, layer.start);
}

void KvCache::DropWhatFails(Layer& layer) {
  while (!IsComputed(layer) && !layer.before.empty()) {
    try {
      runtime_.Evaluate(layer.keys);
      runtime_.Evaluate(layer.values);
    } catch (const Error&) {
      StepBack(layer);
    }
  }
}

void KvCache::Settle() {
  if (entry_ == runtime_.entry()) return;
  const bool own_failed = entry_->failed;
  const bool any_failed = runtime_.last_failed() >= entry_->number;
  for (Layer& layer : layers_) {
    if (own_failed) TakeBack(layer);
    if (any_failed) DropWhatFails(layer);
    layer.own = 0;
    layer.start = layer.length;
  }
  entry_ = runtime_.entry();
}

const KvCache::Layer& KvCache::layer(int64_t index) {
  Settle();
  return layers_[index];
}

int64_t KvCache::position() {
  Settle();
  int64_t position = capacity_;
  for (const Layer& layer : layers_) {
    position = std::min(position, layer.length);
  }
  return position;
}

void KvCache::RequireFit(const Layer& layer, const TensorRef& keys,
                         const TensorRef& values) const {
  const auto size = [](const TensorRef& x, int axis) {
    return x->shape()[axis].value();
  };
  const auto fits = [&](const TensorRef& part, const TensorRef& buffer) {
    return part->rank() == 3 &&
           (!buffer || (size(part, 1) == size(buffer, 1) &&
                        size(part, 2) == size(buffer, 2)));
  };
  if (!fits(keys, layer.keys) || !fits(values, layer.values) ||
      size(keys, 0) != size(values, 0)) {
    Fail(ErrorKind::kProgram,
         "cache: keys {} and values {} do not fit; expected [seq, kv_heads, "
         "dim]{}",
         keys->shape().ToString(), values->shape().ToString(),
         !layer.keys ? ""
                     : fmt::format(" behind positions of {} and {}",
                                   layer.keys->shape().ToString(),
                                   layer.values->shape().ToString()));
  }
  const int64_t count = keys->shape()[0].value();
  if (layer.length + count > capacity_) {
    Fail(ErrorKind::kProgram,
         "cache: {} of {} positions are taken; {} more do not fit",
         layer.length, capacity_, count);
  }
}

TensorRef KvCache::Room(const TensorRef& like) const {
  Shape shape = like->shape();
  shape[0] = Dim(capacity_);
  return runtime_.builder().Leaf(
      runtime_.executor().NewTensor(like->dtype(), shape));
}

// `buffer` is handed over: nobody else may hold it, so that it is written where
// it lies.
TensorRef KvCache::Written(TensorRef buffer, int64_t at,
                           const TensorRef& part) {
  return Assign(
      runtime_.builder(), buffer, std::array{at, int64_t{0}, int64_t{0}},
      std::array{int64_t{1}, int64_t{1}, int64_t{1}}, part->shape(), part);
}

void KvCache::Append(int64_t index, const TensorRef& keys,
                     const TensorRef& values) {
  Settle();
  Layer& layer = layers_[index];
  RequireFit(layer, keys, values);
  if (!layer.keys) {
    layer.keys = Room(keys);
    layer.values = Room(values);
  }
  if (IsComputed(layer)) {
    layer.before.clear();
    layer.own = 0;
  }
  layer.before.push_back(layer.length);
  ++layer.own;
  layer.keys = Written(std::move(layer.keys), layer.length, keys);
  layer.values = Written(std::move(layer.values), layer.length, values);
  layer.length += keys->shape()[0].value();
}

void KvCache::Truncate(int64_t length) {
  if (length < 0 || length > position()) {
    Fail(ErrorKind::kProgram, "truncate: {} is not one of 0 to {}, the "
         "positions that the cache holds", length, position());
  }
  for (Layer& layer : layers_) {
    // What waits to be written behind it never is: nobody computes it.
    while (!IsComputed(layer) && !layer.before.empty() &&
           layer.before.back() >= length) {
      StepBack(layer);
      layer.own = std::max<int64_t>(layer.own - 1, 0);
    }
    layer.length = length;
    layer.start = std::min(layer.start, length);
  }
}

TensorRef KvCache::Part(const TensorRef& buffer, int64_t length) {
  if (!buffer) Fail(ErrorKind::kProgram, "cache: it holds no positions yet");
  const IndexItem where = Positions(0, length);
  return Index(runtime_.builder(), buffer, {&where, 1});
}

TensorRef KvCache::Keys(int64_t layer) {
  Settle();
  return Part(layers_[layer].keys, layers_[layer].length);
}

TensorRef KvCache::Values(int64_t layer) {
  Settle();
  return Part(layers_[layer].values, layers_[layer].length);
}

void KvCache::Save(const std::string& path) {
  const Value model = models_.New();
  for (int64_t i = 0; i < layers(); ++i) {
    model.as_handle().SetIndex(Value::String(NameOf(i, "k")),
                               MakeTensorValue(Keys(i)));
    model.as_handle().SetIndex(Value::String(NameOf(i, "v")),
                               MakeTensorValue(Values(i)));
  }
  models_.Save(model, path, "");
}

void KvCache::Load(const std::string& path) {
  // In the type of the file: a page may keep float32.
  const Model file = LoadModel(path);
  const TensorEntry* keys = file.Find(NameOf(0, "k"));
  const bool is_wide = keys != nullptr && keys->dtype == DType::F32;
  const Value model = models_.Load(
      path, is_wide ? Value::String("float32") : Value(), false, "");
  const auto tensor = [&](int64_t i, std::string_view part) {
    return AsTensor(model.as_handle().Index(Value::String(NameOf(i, part))));
  };
  KvCache loaded(layers(), capacity_, runtime_, models_);
  for (int64_t i = 0; i < layers(); ++i) {
    loaded.Append(i, tensor(i, "k"), tensor(i, "v"));
  }
  Settle();
  layers_ = std::move(loaded.layers_);
  for (Layer& layer : layers_) layer.start = layer.length;
}

std::shared_ptr<KvCache> KvCache::Copy() {
  Settle();
  // Buffers are shared until one of the two writes, which copies.
  return std::make_shared<KvCache>(*this);
}

int64_t CacheValue::OnlyLayer() const {
  if (layer_ != kWhole) return layer_;
  if (cache_->layers() == 1) return 0;
  Fail(ErrorKind::kProgram,
       "attention: 'cache' has {} layers; expected one of them, as in "
       "cache: cache[l]", cache_->layers());
}

std::string CacheValue::ToString() const {
  return layer_ == kWhole
             ? fmt::format("cache({} layer{}, {} of {} positions)",
                           cache_->layers(), cache_->layers() == 1 ? "" : "s",
                           cache_->position(), cache_->capacity())
             : fmt::format("cache[{}]({} of {} positions)", layer_,
                           cache_->layer(layer_).length, cache_->capacity());
}

Value CacheValue::FindMember(std::string_view name) const {
  if (name == "pos") {
    return Value::Int(layer_ == kWhole ? cache_->position()
                                       : cache_->layer(layer_).length);
  }
  if (name == "capacity") return Value::Int(cache_->capacity());
  if (name == "layers") return Value::Int(cache_->layers());
  if (layer_ == kWhole) return Value::Unset();
  if (name == "k") return MakeTensorValue(cache_->Keys(layer_));
  if (name == "v") return MakeTensorValue(cache_->Values(layer_));
  return Value::Unset();
}

Value CacheValue::CallMethod(std::string_view name,
                             std::span<const Value> arguments,
                             const std::vector<std::string>& names) {
  struct Method {
    std::string_view name;
    size_t arguments;
    std::string_view form;
  };
  static constexpr Method kMethods[] = {
      {"truncate", 1, "truncate(positions)"}, {"clear", 0, "clear()"},
      {"save", 1, "save(path)"},              {"load", 1, "load(path)"},
      {"append", 3, "append(layer, k, v)"},   {"get_k", 1, "get_k(layer)"},
      {"get_v", 1, "get_v(layer)"}};
  const auto method = std::find_if(
      std::begin(kMethods), std::end(kMethods),
      [&](const Method& m) { return m.name == name; });
  if (method == std::end(kMethods) || layer_ != kWhole) return Value::Unset();
  if (arguments.size() != method->arguments || !names.empty()) {
    Fail(ErrorKind::kProgram, "{}: {} arguments; its form is {}", name,
         arguments.size(), method->form);
  }
  const auto require = [&](bool fits, const Value& value,
                           std::string_view expected) {
    if (!fits) {
      Fail(ErrorKind::kProgram, "{}: a {} where {} is expected; its form is {}",
           name, TypeName(value), expected, method->form);
    }
  };
  if (name == "get_k") return MakeTensorValue(cache_->Keys(LayerOf(arguments[0])));
  if (name == "get_v") {
    return MakeTensorValue(cache_->Values(LayerOf(arguments[0])));
  }
  if (name == "append") {
    require(arguments[1].is_tensor(), arguments[1], "a tensor");
    require(arguments[2].is_tensor(), arguments[2], "a tensor");
    cache_->Append(LayerOf(arguments[0]), AsTensor(arguments[1]),
                   AsTensor(arguments[2]));
  } else if (name == "truncate") {
    require(arguments[0].is_int(), arguments[0], "an int");
    cache_->Truncate(arguments[0].as_int());
  } else if (name == "clear") {
    cache_->Truncate(0);
  } else {
    require(arguments[0].is_string(), arguments[0], "a path");
    if (name == "save") cache_->Save(arguments[0].as_string());
    if (name == "load") cache_->Load(arguments[0].as_string());
  }
  return Value();
}

int64_t CacheValue::LayerOf(const Value& index) const {
  const int64_t layer = index.is_int() ? index.as_int() : -1;
  if (!index.is_int() || layer < 0 || layer >= cache_->layers()) {
    Fail(ErrorKind::kProgram, "cache: {} is not one of its layers, 0 to {}",
         index.is_int() ? fmt::format("{}", layer)
                        : fmt::format("a {}", TypeName(index)),
         cache_->layers() - 1);
  }
  return layer;
}

Value CacheValue::Index(const Value& key) const {
  if (layer_ != kWhole) return Handle::Index(key);
  return Make(cache_, LayerOf(key));
}

int64_t CacheValue::Length() const {
  return layer_ == kWhole ? cache_->layers() : Handle::Length();
}

Value CacheValue::Copy() const {
  return layer_ == kWhole ? Make(cache_->Copy()) : Handle::Copy();
}

}  // namespace tl
