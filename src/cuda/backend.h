// The backend for NVIDIA cards.
#pragma once

#include <memory>
#include <string>

#include "exec/backend.h"

namespace tl {

// Null where this machine has no card that it runs on.
std::unique_ptr<Backend> OpenCuda();
// The card and the libraries found for it, or why there is none.
std::string DescribeCuda();

}  // namespace tl
