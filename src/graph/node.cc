#include "graph/node.h"

#include "graph/builder.h"

namespace tl {

void Node::SetValue(Tensor value) {
  value_ = std::move(value);
  Unlink();
  // Whoever multiplies by packed weights later still wants them packed.
  if (PackedSource(*this)) return;
  // Inputs may be the last holders of long chains; Destroy copes.
  inputs_.clear();
}

void Node::Unlink() {
  if (builder_) builder_->Forget(*this);
}

void Node::Destroy() {
  static thread_local std::vector<Node*>* doomed = nullptr;
  if (doomed) {
    doomed->push_back(this);
    return;
  }
  std::vector<Node*> stack = {this};
  doomed = &stack;
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    delete node;  // releasing its inputs pushes those that end here
  }
  doomed = nullptr;
}

int64_t ResultBytes(const Node& node) {
  return BytesOf(node.dtype(), node.shape().size());
}

}  // namespace tl
