// The devices this build can compute on. Only this room knows which backends
// were compiled in; everybody else has the interface (exec/backend.h).
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "exec/backend.h"

namespace tl {

struct BackendInfo {
  std::string_view name;
  Device device;
  std::unique_ptr<Backend> (*open)();
};

// In order of preference, the best last. The CPU is always the first.
std::span<const BackendInfo> Backends();

// Null where this build or this machine has none for the device.
const BackendInfo* FindBackend(Device device);

}  // namespace tl
