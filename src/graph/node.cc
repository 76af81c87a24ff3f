#include "graph/node.h"

#include <new>
#include <utility>

#include "graph/builder.h"

namespace tl {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kMostKept = 0;  // so that a use after the end is seen
#else
constexpr size_t kMostKept = 4096;
#endif

// The memory of nodes of this thread that are no more.
class FreeNodes {
 public:
  ~FreeNodes() {
    while (count_ > 0) ::operator delete(Take());
    gone_ = true;
  }

  bool Keep(void* memory) {
    if (gone_ || count_ >= kMostKept) return false;
    first_ = new (memory) Link{first_};
    ++count_;
    return true;
  }

  void* Take() {
    if (count_ == 0) return nullptr;
    --count_;
    return std::exchange(first_, first_->next);
  }

 private:
  struct Link {
    Link* next;
  };

  Link* first_ = nullptr;
  size_t count_ = 0;
  bool gone_ = false;  // at the end of the thread; some nodes go later
};

thread_local FreeNodes free_nodes;

}  // namespace

void* Node::operator new(size_t bytes) {
  void* const kept = free_nodes.Take();
  return kept ? kept : ::operator new(bytes);
}

void Node::operator delete(void* node) {
  if (!free_nodes.Keep(node)) ::operator delete(node);
}

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
