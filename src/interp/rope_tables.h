// `m.config.rope`, and rope(x, position, m.config.rope): the settings of a model
// as a map, and the tables of cosines and sines that they ask for. All layers of
// a step rotate by the same tables, so the last ones are kept.
#pragma once

#include <span>

#include "format/rope.h"
#include "graph/builder.h"
#include "interp/value.h"

namespace tl {

// none for a model without such positions.
Value RopeMap(const std::optional<RopeSettings>& settings, Builder& builder);

class RopeTables {
 public:
  // rope(x, position, settings ..) as rope(x, cos, sin, .., style), if the third
  // argument is such a map.
  void Expand(std::span<Value> arguments, Builder& builder);

 private:
  TensorRef frequencies_, cos_, sin_;
  int64_t position_ = 0, count_ = 0;
  double scale_ = 1;
};

}  // namespace tl
