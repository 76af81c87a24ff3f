#include "backends/backends.h"

#include "cpu/backend.h"
#ifndef TL_WITHOUT_cuda
#include "cuda/backend.h"
#endif

namespace tl {
namespace {

constexpr BackendInfo kBackends[] = {
#define TL_BACKEND(id, name, device) \
  {name, Device::device, Open##id, Describe##id},
#include "backends/backends.def"
};

}  // namespace

std::span<const BackendInfo> Backends() { return kBackends; }

}  // namespace tl
