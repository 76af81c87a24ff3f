#include "tensor/dtype.h"

#include <array>

#include "base/error.h"

namespace tl {
namespace {

constexpr auto kInfos = std::to_array<DTypeInfo>({
#define TL_DTYPE(id, name, kind, elements, bytes, safetensors, gguf) \
  {name, DTypeKind::kind, elements, bytes, safetensors, gguf},
#include "tensor/dtype.def"
});

}  // namespace

const DTypeInfo& Info(DType dtype) {
  return kInfos[static_cast<size_t>(dtype)];
}

std::optional<DType> FindSafeTensorsDType(std::string_view name) {
  for (size_t i = 0; i < kInfos.size(); ++i) {
    if (!name.empty() && kInfos[i].safetensors == name) {
      return static_cast<DType>(i);
    }
  }
  return std::nullopt;
}

std::optional<DType> FindGgufDType(uint32_t number) {
  for (size_t i = 0; i < kInfos.size(); ++i) {
    if (kInfos[i].gguf == static_cast<int64_t>(number)) {
      return static_cast<DType>(i);
    }
  }
  return std::nullopt;
}

std::string_view LanguageName(DType dtype) {
  if (dtype == DType::F16) return "float16";
  if (dtype == DType::F32) return "float32";
  if (dtype == DType::I32) return "int32";
  return Info(dtype).name;
}

}  // namespace tl
