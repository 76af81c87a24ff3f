#include "graph/node.h"

#include <utility>

#include "base/free_list.h"
#include "graph/builder.h"

namespace tl {
void* Node::operator new(size_t bytes) { return FreeList<Node>::New(bytes); }

void Node::operator delete(void* node) { FreeList<Node>::Delete(node); }

void Node::SetValue(Tensor value) {
  value_ = std::move(value);
  Unlink();
  // Whoever multiplies by packed weights later still wants them packed.
  if (PackedSource(*this)) return;
  // Inputs may be the last holders of long chains; Destroy copes.
  inputs_.clear();
}

const Tensor& Node::mirror() const {
  static const Tensor none;
  return elsewhere_ ? elsewhere_->mirror : none;
}

Node::Elsewhere& Node::elsewhere() const {
  if (!elsewhere_) elsewhere_ = std::make_unique<Elsewhere>();
  return *elsewhere_;
}

void Node::Unlink() {
  if (builder_) builder_->Forget(*this);
}

void Node::Destroy() {
  using Nodes = InlineVector<Node*, 16>;
  static thread_local Nodes* doomed = nullptr;
  if (doomed) {
    doomed->push_back(this);
    return;
  }
  Nodes stack = {this};
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
