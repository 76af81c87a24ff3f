// What the fuzz programs of model formats share: a folder for their files, and
// what is promised of every model that was loaded.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "format/companion.h"
#include "format/diff.h"
#include "format/inspect.h"
#include "format/load.h"
#include "promises.h"

namespace tl {

// A temporary folder. Saving waits for the disk: TMPDIR=/dev/shm makes that
// much faster.
class FuzzFolder {
 public:
  FuzzFolder() {
    if (mkdtemp(path_.data()) == nullptr) {
      fmt::print(stderr, "cannot make {}\n", path_);
      std::exit(1);
    }
  }
  ~FuzzFolder() { std::filesystem::remove_all(path_); }
  FuzzFolder(const FuzzFolder&) = delete;
  FuzzFolder& operator=(const FuzzFolder&) = delete;

  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", path_, name);
  }
  // Returns the path.
  std::string Write(std::string_view name, std::string_view content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / "tl_fuzz_XXXXXX";
};

// A SafeTensors file of one tensor of two numbers.
inline std::string SmallSafeTensors(std::string_view tensor) {
  const std::string header = fmt::format(
      R"({{"{}":{{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}}})", tensor);
  const uint64_t size = header.size();
  std::string file(reinterpret_cast<const char*>(&size), sizeof(size));
  return file + header + std::string(4, '\x3c');
}

// False if f() refused the input.
template <class F>
bool Accepts(F&& f) {
  try {
    std::forward<F>(f)();
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return false;
  }
}

// Weights that are made on use may be refused then; those of other formats are
// not looked at before.
inline void Inspect(const Model& model) {
  Summarize(model);
  for (const TensorEntry& entry : model.tensors()) {
    FindCompanion(model, entry);
    Accepts([&] { ComputeStats(entry); });
  }
  Accepts([&] { CheckEveryByte(model); });
}

// Every tensor of the saved model is what it was.
inline void CheckSaved(const Model& model, const std::string& path) {
  const Model saved = LoadModel(path);
  const ModelDifference difference = Compare(model, saved);
  if (difference.tensors.empty()) return;
  BrokenPromise(fmt::format("tensor {} is saved as it was loaded",
                            QuoteName(difference.tensors[0].name)));
}

}  // namespace tl
