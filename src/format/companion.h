// Tensors that mean nothing without another one: quantised weights with their
// scales, as checkpoints in SafeTensors name them. The format says nothing
// about it, so a loader that ignores this returns numbers that are silently
// wrong by the scale. Each tensor is either plain, or to be multiplied by a
// scale described here, or refused by a message that names the scheme.
#pragma once

#include <cstdint>
#include <string>

#include "format/model.h"

namespace tl {

enum class Reading {
  kPlain,    // its own numbers
  kScaled,   // its numbers times those of `scale`
  kRefused,  // no numbers; `text` says why
};

// value[..., i, j] = stored[..., i, j] * scale[..., i / rows, j / columns],
// where a scale of fewer elements is repeated along what it lacks. For one
// scale per tensor `rows` and `columns` are the tensor's own extents (at least
// 1), so the same formula serves; a vector counts as one row.
struct Companion {
  Reading reading = Reading::kPlain;
  std::string scale;  // the name of the scale tensor; kScaled only
  int64_t rows = 1;
  int64_t columns = 1;
  // The scale's bytes are exponents: 2^(byte - 127), 255 is NaN, also where
  // its type says U8. Otherwise it is a float tensor.
  bool exponents = false;
  // For `tl info`: "128x128 blocks by 'w_scale_inv'"; why, when kRefused; ""
  // when kPlain.
  std::string text;
};

// `entry` is a tensor of `model`.
Companion FindCompanion(const Model& model, const TensorEntry& entry);

}  // namespace tl
