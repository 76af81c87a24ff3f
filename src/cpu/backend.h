// The backend that every machine has: host memory and the kernels of this room.
// Run returns when the result is there. Read kernels.h next.
#pragma once

#include <memory>
#include <string>

#include "exec/backend.h"

namespace tl {

// Fails on a processor older than the code was compiled for.
std::unique_ptr<Backend> OpenCpu();
std::string DescribeCpu();  // the instructions it uses

}  // namespace tl
