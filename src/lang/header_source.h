// How the checker asks what a model file holds. Implemented by interp, which
// knows the formats; the checker knows none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tl {

struct HeaderTensor {
  std::string name;
  std::string dtype;           // as the file calls it: "BF16", "I64"
  std::vector<int64_t> shape;  // as PyTorch prints it
  bool usable = true;          // false for types that cannot be computed with
};

struct ModelHeader {
  std::vector<HeaderTensor> tensors;
};

class HeaderSource {
 public:
  virtual ~HeaderSource() = default;

  // The header of the model at `path`, as the program names it; nothing if it
  // cannot be read, which is left to the run to report. Never throws.
  virtual std::shared_ptr<const ModelHeader> Find(const std::string& path) = 0;
};

}  // namespace tl
