// What a sandboxed program may read: the files and folders that were allowed, and
// what is below those, all by where they really are. It may write nothing. Whoever
// opens a file for a program asks here first; the kernel holds the same line by
// itself (base/landlock.h). That a file exists is no secret.
#pragma once

#include <string>
#include <vector>

namespace tl {

// From now on, for the rest of the process, only what is allowed can be read.
void BeginSandbox();
bool InSandbox();

// A file, or a folder with all below it. Links are followed now.
void AllowReading(const std::string& path);
// What was allowed, by its real path.
std::vector<std::string> ReadablePaths();

// Fail (kInput) in a sandbox that does not allow it.
void RequireReadable(const std::string& path);
void RequireWritable(const std::string& path);

// For tests in one process: as if there had been none.
void EndSandboxOfTest();

}  // namespace tl
