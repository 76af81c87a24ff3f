#include "backends/backends.h"

#include "cpu/backend.h"
#ifndef TL_WITHOUT_cuda
#include "cuda/backend.h"
#endif

namespace tl {
namespace {

constexpr BackendInfo kBackends[] = {
#define TL_BACKEND(id, name, device) {name, Device::device, Open##id},
#include "backends/backends.def"
};

}  // namespace

std::span<const BackendInfo> Backends() { return kBackends; }

const BackendInfo* FindBackend(Device device) {
  for (const BackendInfo& info : kBackends) {
    if (info.device == device) return &info;
  }
  return nullptr;
}

}  // namespace tl
