#include "base/landlock.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/file.h"

// Debian 12's <linux/landlock.h> knows version 2 alone, others have none: these
// are the kernel's numbers, which never change.
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

namespace tl {
namespace {

constexpr uint32_t kCreateRulesetVersion = 1;
constexpr int kRulePathBeneath = 1;

constexpr uint64_t kReadFile = 1 << 2;
constexpr uint64_t kReadFolder = 1 << 3;

// How many of the rights to files each version knows.
constexpr int kFileRights[] = {0, 13, 14, 15, 15, 16};
constexpr int kLastFileRights = 16;

constexpr int kNetworkVersion = 4;
constexpr uint64_t kTcp = 0b11;  // bind, connect
constexpr int kScopeVersion = 6;
constexpr uint64_t kScopes = 0b11;  // abstract sockets, signals

struct RulesetAttributes {
  uint64_t handled_files;
  uint64_t handled_network;  // since kNetworkVersion
  uint64_t scoped;           // since kScopeVersion
};

struct [[gnu::packed]] PathBeneath {
  uint64_t allowed;
  int32_t parent;
};

[[noreturn]] void FailSandbox(const char* step, int error) {
  Fail(ErrorKind::kInternal, "sandbox: the kernel's Landlock failed to {}: {}",
       step, ErrnoText(error));
}

// All that this version can take away.
RulesetAttributes EverythingOf(int version) {
  const int rights = version < static_cast<int>(std::size(kFileRights))
                         ? kFileRights[version]
                         : kLastFileRights;
  RulesetAttributes all = {};
  all.handled_files = (uint64_t{1} << rights) - 1;
  if (version >= kNetworkVersion) all.handled_network = kTcp;
  if (version >= kScopeVersion) all.scoped = kScopes;
  return all;
}

size_t SizeOf(int version) {
  if (version >= kScopeVersion) return sizeof(RulesetAttributes);
  return sizeof(uint64_t) * (version >= kNetworkVersion ? 2 : 1);
}

void Allow(int ruleset, const std::string& path) {
  const Descriptor file(open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status;
  if (file.get() < 0 || fstat(file.get(), &status) != 0) return;
  PathBeneath rule = {};
  rule.allowed = S_ISDIR(status.st_mode) ? kReadFile | kReadFolder : kReadFile;
  rule.parent = file.get();
  if (syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &rule, 0) == 0) {
    return;
  }
  // A pipe, say, of which Landlock takes nothing away.
  if (errno != EBADFD) FailSandbox("allow a file", errno);
}

}  // namespace

Landlock FindLandlock() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0,
                               kCreateRulesetVersion);
  if (version < 0) return {0, ErrnoText(errno)};
  return {static_cast<int>(version), ""};
}

void LandlockToReading(const Landlock& landlock,
                       const std::vector<std::string>& paths) {
  TL_CHECK(landlock.version > 0);
  const RulesetAttributes all = EverythingOf(landlock.version);
  const Descriptor ruleset(static_cast<int>(syscall(
      SYS_landlock_create_ruleset, &all, SizeOf(landlock.version), 0)));
  if (ruleset.get() < 0) FailSandbox("begin", errno);
  for (const std::string& path : paths) Allow(ruleset.get(), path);
  // Else a program that is run could get more rights than this process.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    FailSandbox("give up new privileges", errno);
  }
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    FailSandbox("begin", errno);
  }
}

}  // namespace tl
