// Making caches of keys and values.
#include "base/error.h"
#include "format/config.h"
#include "interp/builtins.h"
#include "interp/kv_cache.h"
#include "interp/model_value.h"
#include "interp/vm.h"

namespace tl::builtins {
namespace {

int64_t LayersOf(const Value& value) {
  if (value.is_int()) return value.as_int();
  if (!Models::IsModel(value)) {
    Fail(ErrorKind::kProgram,
         "kv_cache: 'layers' is a {}; expected an int or a model",
         TypeName(value));
  }
  const auto& model = static_cast<const ModelValue&>(value.as_handle());
  const int64_t layers =
      CountIn(ConfigOf(model.open().model()), "layers");
  if (layers == 0) {
    Fail(ErrorKind::kInput,
         "kv_cache: the model does not say how many layers it has");
  }
  return layers;
}

}  // namespace

Value NewCache(Vm& vm, std::span<Value> arguments) {
  const int64_t layers = LayersOf(arguments[0]), length = arguments[1].as_int();
  constexpr int64_t kMost = int64_t{1} << 40;
  for (int64_t size : {layers, length}) {
    if (size < 1 || size > kMost) {
      Fail(ErrorKind::kProgram,
           "kv_cache: {} layers of {} positions; expected at least 1 of each",
           layers, length);
    }
  }
  return CacheValue::Make(std::make_shared<KvCache>(
      layers, length, vm.tensors().runtime(), vm.models()));
}

Value NewCacheOf(Vm& vm, std::span<Value> arguments) {
  return NewCache(vm, arguments);
}

}  // namespace tl::builtins
