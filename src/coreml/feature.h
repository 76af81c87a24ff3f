// What a CoreML model takes and gives: its inputs and outputs by name, as its
// description says them, and whether a tensor is one of these. Source:
// FeatureTypes.proto of the CoreML specification.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coreml/value.h"
#include "format/coreml.h"

namespace tl::coreml {

// One axis of an array or image that may have several sizes.
struct SizeBounds {
  int64_t least = 0;
  std::optional<int64_t> most;  // none: any
};

struct Feature {
  enum class Kind { kArray, kImage, kInt, kDouble, kText, kMap, kOther };

  std::string name;
  std::string description;
  Kind kind = Kind::kOther;
  bool optional = false;
  std::string type;  // "float32 [1, 3, 224, 224]", "image RGB 28 x 28", "string"
  bool takes_ints = false;
  // Of an array as described; of an image [1, channels, height, width]; where
  // it varies, the usual one. Empty: the description does not say.
  std::vector<int64_t> shape;
  // At most one of the two: every allowed shape, or bounds for each axis.
  std::vector<std::vector<int64_t>> shapes;
  std::vector<SizeBounds> bounds;
  // Whether an array may come with a sequence and a batch in front: of networks
  // that see [sequence, batch, channels, height, width].
  bool sequences = false;
  std::string color;  // of an image: "rgb", "bgr", "grayscale"
  // What an optional array is filled with.
  std::optional<double> otherwise;
};

std::vector<Feature> InputsOf(const spec::Model& model);
std::vector<Feature> OutputsOf(const spec::Model& model);

// `given` as this input: of the program's type, with the axes that an image or
// scalar has. Fails, naming the input, the shape and what would fit.
TensorRef AsInput(Host& host, const Feature& feature, const TensorRef& given);

}  // namespace tl::coreml
