#include "base/replace_file.h"

#include <gtest/gtest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "base/failure_of.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

class ReplaceFileTest : public testing::Test {
 protected:
  ReplaceFileTest() {
    std::string pattern = testing::TempDir() + "tl_replace_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~ReplaceFileTest() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) { return folder_ + "/" + name; }
  void Make(const std::string& name, const std::string& text) {
    std::ofstream(Path(name), std::ios::binary) << text;
  }
  std::string Content(const std::string& name) {
    return ReadTextFile(Path(name), 1 << 30);
  }
  std::vector<std::string> Listing() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string folder_;
};

using Names = std::vector<std::string>;

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

void Save(const std::string& path, std::string_view text) {
  ReplaceFile file(path, static_cast<int64_t>(text.size()));
  file.Write(Bytes(text));
  file.Commit();
}

int ModeOf(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : -1;
}

TEST_F(ReplaceFileTest, MakesAFileWithTheUsualMode) {
  umask(022);
  Save(Path("out"), "hello");
  EXPECT_EQ(Content("out"), "hello");
  EXPECT_EQ(ModeOf(Path("out")), 0644);
  EXPECT_EQ(Listing(), Names{"out"});
}

TEST_F(ReplaceFileTest, KeepsTheModeOfTheFileItReplaces) {
  Make("out", "old");
  chmod(Path("out").c_str(), 0640);
  Save(Path("out"), "new");
  EXPECT_EQ(Content("out"), "new");
  EXPECT_EQ(ModeOf(Path("out")), 0640);
}

TEST_F(ReplaceFileTest, WithoutCommitNothingChanges) {
  Make("out", "old");
  {
    ReplaceFile file(Path("out"), 3);
    file.Write(Bytes("new"));
    EXPECT_EQ(Content("out"), "old");
  }
  EXPECT_EQ(Content("out"), "old");
  EXPECT_EQ(Listing(), Names{"out"});
}

TEST_F(ReplaceFileTest, DoesWithoutWhatNotEveryFileSystemHas) {
  Make("out", "old");
  {
    ReplaceFile file(Path("out"), 3, ReplaceFile::Temporary::kNamed);
    EXPECT_EQ(Listing().size(), 2u);
  }
  EXPECT_EQ(Listing(), Names{"out"});
  ReplaceFile file(Path("out"), 3, ReplaceFile::Temporary::kNamed);
  file.Write(Bytes("new"));
  file.Commit();
  EXPECT_EQ(Content("out"), "new");
  EXPECT_EQ(Listing(), Names{"out"});
}

TEST_F(ReplaceFileTest, ALinkWhereItsTemporaryFileWouldBeIsNotFollowed) {
  Make("victim", "mine");
  constexpr int kGuesses = 500;
  for (int i = 0; i < kGuesses; ++i) {
    fs::create_symlink("victim",
                       Path(fmt::format(".tl-{}-{}.partial", getpid(), i)));
  }
  ReplaceFile file(Path("out"), 3, ReplaceFile::Temporary::kNamed);
  file.Write(Bytes("new"));
  file.Commit();
  EXPECT_EQ(Content("victim"), "mine");
  EXPECT_EQ(Content("out"), "new");
  EXPECT_FALSE(fs::is_symlink(Path("out")));
}

TEST_F(ReplaceFileTest, FollowsALinkSoThatTheLinkStays) {
  fs::create_directory(Path("blobs"));
  Make("blobs/a", "old");
  fs::create_symlink("blobs/a", Path("link"));
  fs::create_symlink("blobs/fresh", Path("dangling"));
  Save(Path("link"), "new");
  Save(Path("dangling"), "first");
  EXPECT_TRUE(fs::is_symlink(Path("link")));
  EXPECT_EQ(Content("blobs/a"), "new");
  EXPECT_EQ(Content("blobs/fresh"), "first");
}

TEST_F(ReplaceFileTest, RefusesPlacesWhereNoFileCanBe) {
  EXPECT_EQ(FailureOf([&] { Save(folder_, "x"); }),
            folder_ + ": is a directory");
  EXPECT_EQ(FailureOf([&] { Save("/dev/null", "x"); }),
            "/dev/null: is not a regular file");
  EXPECT_EQ(FailureOf([&] { Save(Path("no/out"), "x"); }),
            Path("no/out") + ": no such file or directory");
  fs::create_symlink("loop", Path("loop"));
  EXPECT_EQ(FailureOf([&] { Save(Path("loop"), "x"); }),
            Path("loop") + ": too many levels of symbolic links");
}

TEST_F(ReplaceFileTest, RefusesWhatIsOpenAlreadyAsStandardOutputMayBe) {
  Make("out", "old");
  const int open_file = open(Path("out").c_str(), O_RDWR);
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  fs::create_symlink(fmt::format("/proc/self/fd/{}", open_file), Path("link"));
  const auto refused = [](const std::string& path) {
    EXPECT_EQ(FailureOf([&] { Save(path, "new"); }),
              path + ": is open already, no place for a new file");
  };
  refused(fmt::format("/dev/fd/{}", open_file));
  refused(fmt::format("/proc/self/fd/{}", pipe_ends[1]));
  refused(Path("link"));
  EXPECT_EQ(Content("out"), "old");
  EXPECT_EQ(write(open_file, "mine", 4), 4);
  EXPECT_EQ(Content("out"), "mine");
  EXPECT_EQ(Listing(), (Names{"link", "out"}));
  for (int fd : {open_file, pipe_ends[0], pipe_ends[1]}) close(fd);
}

TEST_F(ReplaceFileTest, RefusesPipesAndDevicesAndLeavesThem) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  for (const std::string& path :
       {Path("pipe"), std::string("/dev/full"), std::string("/dev/null")}) {
    EXPECT_EQ(FailureOf([&] { Save(path, "x"); }),
              path + ": is not a regular file");
  }
  EXPECT_EQ(Listing(), Names{"pipe"});
}

TEST_F(ReplaceFileTest, FollowsALinkToAnotherFileSystem) {
  std::string pattern = "/dev/shm/tl_replace_XXXXXX";
  struct stat here, there;
  if (mkdtemp(pattern.data()) == nullptr ||
      stat(folder_.c_str(), &here) != 0 || stat(pattern.c_str(), &there) != 0 ||
      here.st_dev == there.st_dev) {
    GTEST_SKIP() << "no other file system";
  }
  fs::create_symlink(pattern + "/out", Path("link"));
  for (const char* text : {"first", "second"}) {
    Save(Path("link"), text);
    EXPECT_TRUE(fs::is_symlink(Path("link")));
    EXPECT_EQ(ReadTextFile(pattern + "/out", 100), text);
    EXPECT_EQ(Listing(), Names{"link"});
  }
  fs::remove_all(pattern);
}

TEST_F(ReplaceFileTest, AFolderThatMayNotBeWrittenKeepsWhatItHas) {
  Make("out", "old");
  chmod(Path("out").c_str(), 0666);
  chmod(folder_.c_str(), 0555);
  const pid_t child = fork();
  if (child == 0) {
    // The superuser may write everywhere.
    if (geteuid() == 0 && seteuid(65534) != 0) _exit(3);
    const bool refused =
        FailureOf([&] { Save(Path("out"), "new"); }) ==
            Path("out") + ": permission denied" &&
        FailureOf([&] { Save(Path("other"), "new"); }) ==
            Path("other") + ": permission denied";
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  chmod(folder_.c_str(), 0755);
  EXPECT_EQ(Content("out"), "old");
  EXPECT_EQ(Listing(), Names{"out"});
}

TEST_F(ReplaceFileTest, AsksForTheSpaceFirst) {
  const std::string text =
      FailureOf([&] { ReplaceFile file(Path("out"), int64_t{1} << 60); });
  EXPECT_TRUE(text.starts_with(
      Path("out") + ": needs 1152921504606846976 bytes, the disk has "))
      << text;
  EXPECT_TRUE(text.ends_with(" free")) << text;
  EXPECT_EQ(Listing(), Names{});
}

TEST_F(ReplaceFileTest, CopiesPartsOfAMappedFile) {
  std::string text(3'000'000, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7);
  Make("in", text);
  const auto source = MappedFile::Open(Path("in"));
  ReplaceFile file(Path("out"), 2'000'105);
  file.Write(Bytes("head"));
  file.Copy(*source, 1, 2'000'000);
  file.Copy(*source, 5, 100);
  file.Write(Bytes("!"));
  EXPECT_EQ(file.written(), 2'000'105);
  file.Commit();
  EXPECT_EQ(Content("out"),
            "head" + text.substr(1, 2'000'000) + text.substr(5, 100) + "!");
}

TEST_F(ReplaceFileTest, SavesOverTheFileItCopiesFrom) {
  const std::string text(1'000'000, 'x');
  Make("m", text);
  const auto source = MappedFile::Open(Path("m"));
  ReplaceFile file(Path("m"), 1'000'001);
  file.Write(Bytes("1"));
  file.Copy(*source, 0, 1'000'000);
  source->CheckIntact();
  file.Commit();
  EXPECT_EQ(Content("m"), "1" + text);
  EXPECT_EQ(source->bytes()[999'999], std::byte{'x'});
}

TEST_F(ReplaceFileTest, ASourceThatShrankIsAnError) {
  Make("in", std::string(3'000'000, 'x'));
  const auto source = MappedFile::Open(Path("in"));
  ASSERT_EQ(truncate(Path("in").c_str(), 1'000'000), 0);
  EXPECT_EQ(FailureOf([&] {
              ReplaceFile file(Path("out"), 3'000'000);
              file.Copy(*source, 0, 3'000'000);
            }),
            Path("in") +
                ": shrank from 3000000 to 1000000 bytes while it was in use");
  EXPECT_EQ(Listing(), Names{"in"});
}

TEST_F(ReplaceFileTest, AFullDiskLeavesTheOldFile) {
  Make("out", "old");
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small = {100'000, limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string failure =
      FailureOf([&] { Save(Path("out"), std::string(300'000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &limit);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(failure,
            Path("out") + ": cannot write at byte 100000: file too large");
  EXPECT_EQ(Content("out"), "old");
  EXPECT_EQ(Listing(), Names{"out"});
}

// Runs `work` in a child, sends it `signal_number` after `delay`, and gives
// its wait status.
template <class F>
int Interrupt(F&& work, int signal_number, std::chrono::microseconds delay) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGINT, SIG_DFL);  // a background job is born ignoring it
    work();
    _exit(0);
  }
  std::this_thread::sleep_for(delay);
  kill(child, signal_number);
  int status;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(ReplaceFileTest, ControlCLeavesNothingBehind) {
  Make("out", "old");
  using enum ReplaceFile::Temporary;
  for (auto temporary : {kNamelessIfPossible, kNamed}) {
    for (int signal_number : {SIGINT, SIGTERM}) {
      const int status = Interrupt(
          [&] {
            ReplaceFile file(Path("out"), 3, temporary);
            file.Write(Bytes("new"));
            pause();
          },
          signal_number, std::chrono::milliseconds(300));
      EXPECT_TRUE(WIFSIGNALED(status));
      EXPECT_EQ(WTERMSIG(status), signal_number);
      EXPECT_EQ(Listing(), Names{"out"});
      EXPECT_EQ(Content("out"), "old");
    }
  }
}

TEST_F(ReplaceFileTest, NotEvenAKillInTheMiddleLeavesAnything) {
  const int nameless = open(Path("").c_str(), O_TMPFILE | O_WRONLY, 0600);
  if (nameless < 0) GTEST_SKIP() << "this file system has no nameless files";
  close(nameless);
  Make("out", "old");
  Interrupt(
      [&] {
        ReplaceFile file(Path("out"), 3);
        file.Write(Bytes("new"));
        pause();
      },
      SIGKILL, std::chrono::milliseconds(300));
  EXPECT_EQ(Listing(), Names{"out"});
  EXPECT_EQ(Content("out"), "old");
}

TEST_F(ReplaceFileTest, WhatAKillLeftGoesWithTheNextSave) {
  using enum ReplaceFile::Temporary;
  Make("out", "old");
  Interrupt(
      [&] {
        ReplaceFile file(Path("out"), 3, kNamed);
        file.Write(Bytes("new"));
        pause();
      },
      SIGKILL, std::chrono::milliseconds(300));
  ASSERT_EQ(Listing().size(), 2u);
  Make(".tl-notes.partial", "not ours");
  Make(".tl-1-2.part", "nor this");
  ReplaceFile alive(Path("other"), 3, kNamed);
  EXPECT_EQ(Listing().size(), 4u);  // without what was left, with what is written
  Save(Path("out"), "new");
  alive.Write(Bytes("mine"));
  alive.Commit();
  EXPECT_EQ(Content("other"), "mine");
  EXPECT_EQ(Listing(),
            (Names{".tl-1-2.part", ".tl-notes.partial", "other", "out"}));
}

TEST_F(ReplaceFileTest, KillAtAnyMomentLeavesOneWholeFile) {
  const std::string old(2'000'000, 'o'), fresh(3'000'000, 'n');
  std::mt19937 random(7);
  int seen_new = 0;
  for (int i = 0; i < 60; ++i) {
    Save(Path("out"), old);
    Interrupt([&] { Save(Path("out"), fresh); }, SIGKILL,
              std::chrono::microseconds(random() % 12'000));
    const std::string content = Content("out");
    ASSERT_TRUE(content == old || content == fresh) << content.size();
    seen_new += content == fresh;
  }
  SUCCEED() << seen_new << " of 60 were replaced";
}

}  // namespace
}  // namespace tl
