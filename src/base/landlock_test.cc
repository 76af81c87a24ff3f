// What the kernel holds by itself: each test is a child that has its rights taken
// away and then asks the kernel, not tl, for what it has lost.
#include "base/landlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "base/error.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

class LandlockTest : public testing::Test {
 protected:
  LandlockTest() {
    std::string pattern = testing::TempDir() + "tl_landlock_XXXXXX";
    folder_ = fs::canonical(mkdtemp(pattern.data())).string();
    fs::create_directory(Path("in"));
    for (const char* name : {"a", "b", "in/c"}) std::ofstream(Path(name)) << "x";
  }
  ~LandlockTest() override { fs::remove_all(folder_); }
  void SetUp() override {
    if (landlock_.version == 0) GTEST_SKIP() << "no Landlock: " << landlock_.why;
  }

  std::string Path(const std::string& name) { return folder_ + "/" + name; }

  // The errno of what a child does once it can only read `paths`.
  int AfterRestriction(const std::vector<std::string>& paths,
                       const std::function<bool()>& succeeds) {
    const pid_t child = fork();
    if (child == 0) {
      try {
        LandlockToReading(landlock_, paths);
      } catch (const Error&) {
        _exit(255);
      }
      _exit(succeeds() ? 0 : errno);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  const Landlock landlock_ = FindLandlock();
  std::string folder_;
};

bool Opens(const std::string& path, int flags = O_RDONLY) {
  return open(path.c_str(), flags, 0600) >= 0;
}

TEST_F(LandlockTest, LeavesReadingOfWhatIsNamed) {
  const std::vector<std::string> paths = {Path("a"), Path("in"), Path("none")};
  const auto opens = [&](const std::string& name) {
    return AfterRestriction(paths, [&] { return Opens(Path(name)); });
  };
  EXPECT_EQ(opens("a"), 0);
  EXPECT_EQ(opens("in/c"), 0);
  EXPECT_EQ(opens("b"), EACCES);
  EXPECT_EQ(AfterRestriction(paths, [&] { return Opens("/etc/passwd"); }),
            EACCES);
  EXPECT_EQ(
      AfterRestriction(
          paths, [&] { return Opens(folder_, O_RDONLY | O_DIRECTORY); }),
      EACCES);
}

TEST_F(LandlockTest, LinksDoNotLeadOut) {
  fs::create_symlink("/etc/passwd", Path("in/link"));
  fs::create_symlink("../b", Path("in/near"));
  for (const char* name : {"in/link", "in/near", "in/../b"}) {
    EXPECT_EQ(AfterRestriction({Path("in")}, [&] { return Opens(Path(name)); }),
              EACCES)
        << name;
  }
}

TEST_F(LandlockTest, TakesAwayEveryWayOfWriting) {
  const auto refused = [&](const char* what, const std::function<bool()>& act) {
    EXPECT_EQ(AfterRestriction({folder_, "/dev/full"}, act), EACCES) << what;
  };
  const std::string a = Path("a"), to = Path("new");
  refused("write", [&] { return Opens(a, O_WRONLY); });
  refused("append", [&] { return Opens(a, O_WRONLY | O_APPEND); });
  refused("both", [&] { return Opens(a, O_RDWR); });
  refused("create", [&] { return Opens(to, O_WRONLY | O_CREAT); });
  refused("nameless", [&] { return Opens(folder_, O_TMPFILE | O_WRONLY); });
  refused("device", [&] { return Opens("/dev/full", O_WRONLY); });
  refused("mkdir", [&] { return mkdir(to.c_str(), 0700) == 0; });
  refused("mkfifo", [&] { return mkfifo(to.c_str(), 0600) == 0; });
  refused("symlink", [&] { return symlink("a", to.c_str()) == 0; });
  refused("unlink", [&] { return unlink(a.c_str()) == 0; });
  refused("rename", [&] { return rename(a.c_str(), to.c_str()) == 0; });
  if (landlock_.version >= 3) {
    refused("truncate", [&] { return truncate(a.c_str(), 0) == 0; });
  }
  EXPECT_EQ(fs::file_size(a), 1u);
}

TEST_F(LandlockTest, NoProgramCanBeRun) {
  EXPECT_EQ(AfterRestriction({"/"},
                             [] {
                               execl("/bin/true", "true", nullptr);
                               return false;
                             }),
            EACCES);
}

TEST_F(LandlockTest, ThreadsInheritIt) {
  EXPECT_EQ(AfterRestriction({Path("a")},
                             [&] {
                               int error = 0;
                               std::thread([&] {
                                 error = Opens(Path("b")) ? 0 : errno;
                               }).join();
                               errno = error;
                               return error == 0;
                             }),
            EACCES);
}

TEST_F(LandlockTest, ASecondTimeTakesAwayMore) {
  const auto opens = [&](const std::string& name) {
    return AfterRestriction({folder_}, [&] {
      LandlockToReading(landlock_, {Path("a"), "/etc/passwd"});
      return Opens(name);
    });
  };
  EXPECT_EQ(opens(Path("a")), 0);
  EXPECT_EQ(opens(Path("b")), EACCES);
  EXPECT_EQ(opens("/etc/passwd"), EACCES);
}

TEST_F(LandlockTest, OpenPipesStayWhatTheyAre) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(AfterRestriction({fmt::format("/proc/self/fd/{}", ends[0])},
                             [&] { return write(ends[1], "x", 1) == 1; }),
            0);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(LandlockTest, NoTcp) {
  if (landlock_.version < 4) GTEST_SKIP() << "version " << landlock_.version;
  const auto with_socket = [&](auto call) {
    return AfterRestriction({"/"}, [&] {
      const int s = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address = {};
      address.sin_family = AF_INET;
      address.sin_port = htons(9);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      return call(s, reinterpret_cast<sockaddr*>(&address), sizeof address) ==
             0;
    });
  };
  EXPECT_EQ(with_socket(connect), EACCES);
  EXPECT_EQ(with_socket(bind), EACCES);
}

TEST_F(LandlockTest, NoSignalsAndNoAbstractSocketsToOthers) {
  if (landlock_.version < 6) GTEST_SKIP() << "version " << landlock_.version;
  const pid_t self = getpid();
  EXPECT_EQ(AfterRestriction({"/"}, [&] { return kill(self, 0) == 0; }), EPERM);

  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("tl-landlock-{}", self);
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const int listening = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listening, where, size), 0);
  ASSERT_EQ(listen(listening, 1), 0);
  EXPECT_EQ(AfterRestriction({"/"},
                             [&] {
                               const int s = socket(AF_UNIX, SOCK_STREAM, 0);
                               return connect(s, where, size) == 0;
                             }),
            EPERM);
  close(listening);
}

}  // namespace
}  // namespace tl
