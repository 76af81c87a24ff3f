#include "coreml/mil_ops.h"

#include <unordered_map>

namespace tl::coreml {

MilFunction FindMilFunction(std::string_view type) {
  static const auto& functions = *[] {
    auto* made = new std::unordered_map<std::string_view, MilFunction>;
    for (std::span<const MilOp> ops :
         {ElementwiseOps(), ActivationOps(), NetOps(), WindowOps(), ResizeOps(),
          ReduceOps(), ShapeOps(), BlockOps(), IndexOps(), RecurrentOps(),
          ListOps(), ScatterOps(), SampleOps(), BoxOps(), RandomOps(),
          StateOps()}) {
      for (const MilOp& op : ops) made->emplace(op.name, op.function);
    }
    return made;
  }();
  const auto found = functions.find(type);
  return found == functions.end() ? nullptr : found->second;
}

}  // namespace tl::coreml
