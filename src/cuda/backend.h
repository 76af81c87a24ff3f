// The backend for NVIDIA cards.
#pragma once

#include <memory>

#include "exec/backend.h"

namespace tl {

// Null where this machine has no card that it runs on.
std::unique_ptr<Backend> OpenCuda();

}  // namespace tl
