#include "base/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/failure_of.h"
#include "base/file.h"
#include "base/read_stream.h"
#include "base/replace_file.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

class SandboxTest : public testing::Test {
 protected:
  SandboxTest() {
    std::string pattern = testing::TempDir() + "tl_sandbox_XXXXXX";
    folder_ = fs::canonical(mkdtemp(pattern.data())).string();
    fs::create_directories(Path("in/deep"));
    for (const char* name : {"a", "b", "in/c", "in/deep/d"}) {
      std::ofstream(Path(name)) << name;
    }
  }
  ~SandboxTest() override {
    EndSandboxOfTest();
    fs::remove_all(folder_);
  }

  std::string Path(const std::string& name) { return folder_ + "/" + name; }

  std::string folder_;
};

std::string Read(const std::string& path) {
  return FailureOf([&] { ReadTextFile(path, 100); });
}

std::string MayNotRead(const std::string& what) {
  return "sandbox: may not read " + what +
         "; a sandboxed program reads only what is named on the command line";
}

TEST_F(SandboxTest, WithoutOneEverythingCanBeRead) {
  EXPECT_FALSE(InSandbox());
  EXPECT_EQ(Read(Path("a")), "no failure");
  EXPECT_EQ(ReadablePaths(), std::vector<std::string>());
}

TEST_F(SandboxTest, AllowsFilesAndWhatIsBelowFolders) {
  BeginSandbox();
  AllowReading(Path("a"));
  AllowReading(Path("in/"));
  EXPECT_EQ(ReadablePaths(),
            (std::vector<std::string>{Path("a"), Path("in")}));
  for (const char* name : {"a", "in/../a", "in/c", "in/deep/d"}) {
    EXPECT_EQ(Read(Path(name)), "no failure") << name;
  }
  EXPECT_EQ(Read(Path("b")), MayNotRead(Path("b")));
  EXPECT_EQ(Read(Path("in/../b")), MayNotRead(Path("in/../b")));
  EXPECT_EQ(Read("/etc/passwd"), MayNotRead("/etc/passwd"));
  EXPECT_EQ(Read(folder_), MayNotRead(folder_));
  EXPECT_EQ(Read(""), MayNotRead(""));
}

TEST_F(SandboxTest, OneNameThatBeginsLikeAnotherIsAnother) {
  std::ofstream(Path("a.secret")) << "x";
  fs::create_directory(Path("inside"));
  std::ofstream(Path("inside/x")) << "x";
  BeginSandbox();
  AllowReading(Path("a"));
  AllowReading(Path("in"));
  EXPECT_EQ(Read(Path("a.secret")), MayNotRead(Path("a.secret")));
  EXPECT_EQ(Read(Path("inside/x")), MayNotRead(Path("inside/x")));
}

TEST_F(SandboxTest, LinksDoNotLeadOut) {
  fs::create_symlink("/etc/passwd", Path("in/link"));
  fs::create_symlink("../..", Path("in/up"));
  fs::create_symlink("in/c", Path("given"));
  BeginSandbox();
  AllowReading(Path("in"));
  AllowReading(Path("given"));
  EXPECT_EQ(Read(Path("in/link")),
            MayNotRead(Path("in/link") + ", which is /etc/passwd"));
  const std::string around =
      Path("in/up/") + fs::path(folder_).filename().string() + "/b";
  EXPECT_EQ(Read(around), MayNotRead(around + ", which is " + Path("b")));
  const int open_folder = open(folder_.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_GE(open_folder, 0);
  const std::string through = fmt::format("/proc/self/fd/{}/b", open_folder);
  EXPECT_EQ(Read(through), MayNotRead(through + ", which is " + Path("b")));
  close(open_folder);
  EXPECT_EQ(Read(Path("given")), "no failure");
}

TEST_F(SandboxTest, ANameWithANulIsNotWhatStandsBeforeIt) {
  BeginSandbox();
  AllowReading(Path("a"));
  const std::string name = Path("b") + std::string("\0/../a", 6);
  EXPECT_EQ(FailureOf([&] { RequireReadable(name); }), MayNotRead(name));
}

TEST_F(SandboxTest, EachWayOfReadingAsks) {
  BeginSandbox();
  const std::string refused = MayNotRead(Path("a"));
  EXPECT_EQ(FailureOf([&] { MappedFile::Open(Path("a")); }), refused);
  EXPECT_EQ(FailureOf([&] { ReadTextFile(Path("a"), 100); }), refused);
  EXPECT_EQ(FailureOf([&] { ReadStream(Path("a"), 100); }), refused);
}

TEST_F(SandboxTest, AnAllowedPipeCanBeReadAndNoOther) {
  int allowed[2], other[2];
  ASSERT_EQ(pipe(allowed), 0);
  ASSERT_EQ(pipe(other), 0);
  ASSERT_EQ(write(allowed[1], "hello", 5), 5);
  close(allowed[1]);
  const auto name = [](int fd) { return fmt::format("/proc/self/fd/{}", fd); };
  BeginSandbox();
  AllowReading(name(allowed[0]));
  EXPECT_EQ(ReadStream(name(allowed[0]), 100), "hello");
  EXPECT_EQ(FailureOf([&] { ReadStream(name(other[0]), 100); }),
            MayNotRead(name(other[0])));
  for (int fd : {allowed[0], other[0], other[1]}) close(fd);
}

TEST_F(SandboxTest, NothingCanBeWrittenNotEvenWhatCanBeRead) {
  BeginSandbox();
  AllowReading(folder_);
  for (const char* name : {"a", "in/new"}) {
    EXPECT_EQ(FailureOf([&] { ReplaceFile(Path(name), 1); }),
              "sandbox: may not write " + Path(name) +
                  "; a sandboxed program writes no files");
  }
}

TEST(ReadStream, ReadsALittleMoreThanItsLimit) {
  const std::string text = ReadStream("/dev/zero", 1000);
  EXPECT_GT(text.size(), 1000u);
  EXPECT_LE(text.size(), 1000u + (1 << 16));
  EXPECT_EQ(FailureOf([] { ReadStream("/no/such", 10); }),
            "/no/such: no such file or directory");
  EXPECT_EQ(FailureOf([] { ReadStream("/", 10); }), "/: is a directory");
}

}  // namespace
}  // namespace tl
