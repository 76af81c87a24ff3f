// For the tests of this room: files in a folder of their own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/failure_of.h"
#include "base/file.h"

namespace tl {

class TempFolderTest : public testing::Test {
 protected:
  TempFolderTest() {
    std::string pattern = testing::TempDir() + "tl_format_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~TempFolderTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const {
    return folder_ + "/" + name;
  }
  std::string Make(const std::string& name, std::string_view content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }
  std::string Content(const std::string& name) const {
    return ReadTextFile(Path(name), int64_t{1} << 30);
  }

  std::string folder_;
};

// The bytes of a SafeTensors file.
inline std::string SafeTensorsFile(std::string_view header,
                                   std::string_view data) {
  const uint64_t size = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &size, 8);
  return file.append(header).append(data);
}

// Tensors of a file lie at any alignment.
inline float FirstFloat(const std::byte* bytes) {
  float value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// The real models of other people, where this machine has them: the folder
// named by TL_SHARED_MODELS, or the one beside the source tree.
inline std::string SharedModels() {
  const char* folder = std::getenv("TL_SHARED_MODELS");
  return folder != nullptr ? folder : TL_SOURCE_DIR "/../shared/models";
}

}  // namespace tl
