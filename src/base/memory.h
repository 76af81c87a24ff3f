// What memory the machine can still give, so that a request that cannot be met
// is refused with both numbers instead of being killed half way.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tl {

// Bytes that can be allocated now: the smaller of MemAvailable and what the
// control group has left. -1 where neither is known.
int64_t AvailableMemory();

// Fails, naming both numbers, if `bytes` is large and more than available.
void RequireMemory(int64_t bytes);

// The most that RequireMemory grants at once whatever the machine has; for
// those who run what they do not know, and tests.
inline std::atomic<int64_t> most_memory_at_once{INT64_MAX};

// Appends to a string, and fails like RequireMemory() before it grows too
// large.
void AppendText(std::string& text, std::string_view more);

// "15.2 GiB", "12.0 MiB", "640 bytes".
std::string BinarySize(int64_t bytes);

void AdviseHugePages(void* block, int64_t bytes);

}  // namespace tl
