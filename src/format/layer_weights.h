// The numbers of a layer's weights in a CoreML file, as a tensor: in place
// where they are float32 or float16, decoded on first use where they are
// quantised.
#pragma once

#include <memory>
#include <optional>

#include "format/coreml_layers.h"
#include "format/model.h"

namespace tl {

// Nothing where the layer has no such numbers. `name` is the tensor's. Fails
// when they are not as many as the shape says, or stored in no known form.
std::optional<TensorEntry> TensorOfWeights(
    const LayerWeights& weights, std::string name,
    const std::shared_ptr<const MappedFile>& file);

}  // namespace tl
