#include "cuda/batch.h"

namespace tl::cuda {

void Batch::Add(OpId op, const KernelArgs& args) {
  items_.push_back({op, args, nullptr, 0});
  views_.insert(views_.end(), args.inputs.begin(), args.inputs.end());
  views_.insert(views_.end(), args.outputs.begin(), args.outputs.end());
  numbers_.insert(numbers_.end(), args.numbers.begin(), args.numbers.end());
}

void Batch::AddCopyIn(std::byte* to, const std::byte* from, int64_t bytes) {
  items_.push_back({OpId::kLeaf, {}, to, bytes});
  bytes_.insert(bytes_.end(), from, from + bytes);
}

void Batch::RunOn(Engine& engine) const {
  const View* view = views_.data();
  const double* number = numbers_.data();
  const std::byte* byte = bytes_.data();
  for (const Item& item : items_) {
    if (item.to != nullptr) {
      engine.Write(item.to, byte, item.bytes);
      byte += item.bytes;
      continue;
    }
    KernelArgs args = item.args;
    args.inputs = {view, item.args.inputs.size()};
    args.outputs = {view + args.inputs.size(), item.args.outputs.size()};
    args.numbers = {number, item.args.numbers.size()};
    engine.Run(item.op, args);
    view += args.inputs.size() + args.outputs.size();
    number += args.numbers.size();
  }
  engine.EndRun(scratch);
}

void Batch::Clear() {
  items_.clear();
  views_.clear();
  numbers_.clear();
  bytes_.clear();
  kept = nullptr;
  scratch = {};
}

}  // namespace tl::cuda
