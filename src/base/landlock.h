// The kernel's own sandbox for a process that needs no privilege: Landlock, since
// Linux 5.13. What it takes away stays away, from this thread and from all that it
// starts; threads that run already keep theirs, so call it before there are any.
// https://docs.kernel.org/userspace-api/landlock.html
#pragma once

#include <string>
#include <vector>

namespace tl {

struct Landlock {
  int version = 0;  // of its interface; 0 where the kernel has none
  std::string why;  // it has none: "function not implemented"
};

Landlock FindLandlock();

// Leaves this process nothing but reading of `paths`, which are files, or folders
// with all below them, without links; those that are not there are left out. It
// can write and run no file any more, with version 4 use no TCP, and with 6 reach
// no other process by a signal or an abstract socket. Again takes away more.
// Fails (kInternal) where the kernel refuses.
void LandlockToReading(const Landlock& landlock,
                       const std::vector<std::string>& paths);

}  // namespace tl
