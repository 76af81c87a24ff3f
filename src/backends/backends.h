// The devices this build can compute on. Only this room knows which backends
// were compiled in; everybody else has the interface (exec/backend.h).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "exec/backend.h"

namespace tl {

struct BackendInfo {
  std::string_view name;
  Device device;
  // Null where this machine has no such device.
  std::unique_ptr<Backend> (*open)();
  // The device in words, or why there is none.
  std::string (*describe)();
};

// In order of preference, the best last. The CPU is always the first.
std::span<const BackendInfo> Backends();

}  // namespace tl
