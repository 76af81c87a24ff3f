#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <numeric>

#include "base/failure_of.h"
#include "base/sanitizer.h"

namespace tl {
namespace {

#ifdef TL_ADDRESS_SANITIZER
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string pattern = testing::TempDir() + "tl_file_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~FileTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) { return folder_ + "/" + name; }
  std::string Make(const std::string& name, const std::string& text) {
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }

  std::string folder_;
};

int64_t Sum(const MappedFile& file) {
  int64_t sum = 0;
  for (std::byte b : file.bytes()) sum += std::to_integer<int>(b);
  return sum;
}

TEST_F(FileTest, MapsAFileAndTheBytesBehindIt) {
  const std::string path = Make("four_pages", std::string(4 * 4096, 'a'));
  const auto file = MappedFile::Open(path);
  EXPECT_EQ(file->size(), 4 * 4096);
  EXPECT_EQ(Sum(*file), 4 * 4096 * 'a');
  EXPECT_EQ(file->bytes().data()[4 * 4096 + 63], std::byte{0});
  EXPECT_NO_THROW(file->CheckIntact());
}

TEST_F(FileTest, MapsAnEmptyFile) {
  const auto file = MappedFile::Open(Make("empty", ""));
  EXPECT_TRUE(file->bytes().empty());
  EXPECT_NO_THROW(file->CheckIntact());
}

TEST_F(FileTest, RefusesWhatIsNoReadableFile) {
  EXPECT_EQ(FailureOf([&] { MappedFile::Open(Path("none")); }),
            Path("none") + ": no such file or directory");
  EXPECT_EQ(FailureOf([&] { MappedFile::Open(folder_); }),
            folder_ + ": is a directory");
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(FailureOf([&] { MappedFile::Open(Path("pipe")); }),
            Path("pipe") + ": is not a regular file");
}

TEST_F(FileTest, AFileThatShrinksReadsAsZerosAndIsReported) {
  const std::string path = Make("m", std::string(1 << 20, 'a'));
  const auto file = MappedFile::Open(path);
  ASSERT_EQ(truncate(path.c_str(), 4096), 0);
  EXPECT_EQ(Sum(*file), 4096 * 'a');
  EXPECT_TRUE(AnyMappedFileDamaged());
  EXPECT_EQ(FailureOf([&] { file->CheckIntact(); }),
            path + ": shrank from 1048576 to 4096 bytes while it was in use");
}

TEST_F(FileTest, AShrinkWithinAPageIsReportedThoughNothingFaults) {
  const std::string path = Make("m", std::string(5000, 'a'));
  const auto file = MappedFile::Open(path);
  ASSERT_EQ(truncate(path.c_str(), 4500), 0);
  EXPECT_EQ(Sum(*file), 4500 * 'a');
  EXPECT_EQ(FailureOf([&] { file->CheckIntact(); }),
            path + ": shrank from 5000 to 4500 bytes while it was in use");
}

TEST_F(FileTest, ADamagedMappingIsForgottenWhenItIsClosed) {
  const std::string path = Make("m", std::string(1 << 20, 'a'));
  {
    const auto file = MappedFile::Open(path);
    ASSERT_EQ(truncate(path.c_str(), 0), 0);
    EXPECT_EQ(Sum(*file), 0);
    EXPECT_TRUE(AnyMappedFileDamaged());
  }
  EXPECT_FALSE(AnyMappedFileDamaged());
  const auto again = MappedFile::Open(Make("n", "abc"));
  EXPECT_NO_THROW(again->CheckIntact());
}

TEST_F(FileTest, ReportsAFileThatWasWrittenTo) {
  const std::string path = Make("m", "abc");
  const auto file = MappedFile::Open(path);
  const timespec later[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), later, 0), 0);
  EXPECT_EQ(FailureOf([&] { file->CheckIntact(); }),
            path + ": was written to while it was in use");
}

TEST_F(FileTest, FindsTheFileOfAnAddress) {
  const auto file = MappedFile::Open(Make("m", "abc"));
  EXPECT_EQ(MappedFile::Containing(file->bytes().data() + 2), file);
  EXPECT_EQ(MappedFile::Containing(&file), nullptr);
  EXPECT_EQ(MappedFile::Containing(nullptr), nullptr);
}

TEST_F(FileTest, ADeletedFileStaysReadable) {
  const std::string path = Make("m", std::string(10000, 'a'));
  const auto file = MappedFile::Open(path);
  ASSERT_EQ(unlink(path.c_str()), 0);
  EXPECT_EQ(Sum(*file), 10000 * 'a');
  EXPECT_NO_THROW(file->CheckIntact());
}

TEST_F(FileTest, ABusErrorElsewhereStillKills) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer handles SIGBUS itself";
  const std::string path = Make("m", std::string(4096, 'a'));
  const auto ours = MappedFile::Open(Make("n", "abc"));
  EXPECT_EXIT(
      {
        std::FILE* file = std::fopen(path.c_str(), "rb");
        auto* bytes = static_cast<volatile char*>(
            mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fileno(file), 0));
        if (truncate(path.c_str(), 0) == 0) std::printf("%d", bytes[0]);
      },
      testing::KilledBySignal(SIGBUS), "");
  EXPECT_EXIT(raise(SIGBUS), testing::KilledBySignal(SIGBUS), "");
}

TEST_F(FileTest, ReadsATextFileUpToItsLimit) {
  const std::string path = Make("t", "hello");
  EXPECT_EQ(ReadTextFile(path, 5), "hello");
  EXPECT_EQ(FailureOf([&] { ReadTextFile(path, 4); }),
            path + ": 5 bytes, at most 4 are read");
  EXPECT_FALSE(ReadTextFile("/proc/self/status", 1 << 20).empty());
}

TEST_F(FileTest, WhatIsLetGoCanBeReadAgain) {
  const int64_t size = 10 * 4096 + 100;
  const std::string path = Make("f", std::string(size, 'x'));
  const auto file = MappedFile::Open(path);
  for (const std::byte byte : file->bytes()) ASSERT_EQ(byte, std::byte{'x'});
  file->LetGo(5, size - 5);
  file->LetGo(0, 10);
  for (const std::byte byte : file->bytes()) ASSERT_EQ(byte, std::byte{'x'});
}

}  // namespace
}  // namespace tl
