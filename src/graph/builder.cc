#include "graph/builder.h"

#include <array>

namespace tl {
namespace {

// Views take no memory of their own.
int64_t OwnBytes(const Node& node) {
  return Info(node.op()).op_class == OpClass::kView ? 0 : ResultBytes(node);
}

}  // namespace

Builder::~Builder() {
  // Values may outlive the builder: they no longer report to it.
  while (first_) Forget(*first_);
}

NodePtr Builder::Leaf(Tensor tensor) {
  NodePtr node = MakeRef<Node>(OpId::kLeaf,
                               TensorType{tensor.dtype, tensor.shape},
                               std::vector<NodePtr>{}, Attributes{}, location_);
  node->SetValue(std::move(tensor));
  return node;
}

TensorRef Builder::Number(double value, DType dtype) {
  return MakeRef<Node>(OpId::kNumber, TensorType{dtype, Shape{}},
                       std::vector<NodePtr>{}, Attributes{{}, {value}},
                       location_);
}

uint64_t Builder::NextSeed() { return uint64_t{draws_++} << 32 | seed_; }

TensorRef Builder::Make(OpId op, std::span<const TensorRef> inputs,
                        Attributes attributes) {
  constexpr size_t kUsual = 4;
  std::array<TensorType, kUsual> few;
  std::vector<TensorType> many(inputs.size() > kUsual ? inputs.size() : 0);
  std::span<TensorType> types =
      many.empty() ? std::span(few).first(inputs.size()) : std::span(many);
  std::vector<NodePtr> nodes;
  nodes.reserve(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    types[i] = inputs[i]->type();
    nodes.push_back(AsNode(inputs[i]));
  }
  NodePtr node = MakeRef<Node>(op, ResultType(op, types, attributes),
                               std::move(nodes), std::move(attributes),
                               location_);
  Remember(*node);
  return node;
}

std::vector<Node*> Builder::PendingNodes() const {
  std::vector<Node*> nodes;
  nodes.reserve(pending_);
  for (Node* node = first_; node; node = node->next_) nodes.push_back(node);
  return nodes;
}

void Builder::Remember(Node& node) {
  node.builder_ = this;
  node.next_ = first_;
  if (first_) first_->previous_ = &node;
  first_ = &node;
  ++pending_;
  pending_bytes_ += OwnBytes(node);
}

void Builder::Forget(Node& node) {
  (node.previous_ ? node.previous_->next_ : first_) = node.next_;
  if (node.next_) node.next_->previous_ = node.previous_;
  node.previous_ = node.next_ = nullptr;
  node.builder_ = nullptr;
  --pending_;
  pending_bytes_ -= OwnBytes(node);
}

}  // namespace tl
