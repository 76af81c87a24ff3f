#include "graph/builder.h"

#include <array>

namespace tl {
namespace {

// Views take no memory of their own.
int64_t OwnBytes(const Node& node) {
  return Info(node.op()).op_class == OpClass::kView ? 0 : ResultBytes(node);
}

// Whether the last two axes are the same.
bool SameMatrix(const Shape& a, const Shape& b) {
  if (a.rank() < 2 || b.rank() < 2) return false;
  return a.dim(a.rank() - 2) == b.dim(b.rank() - 2) &&
         a.dim(a.rank() - 1) == b.dim(b.rank() - 1);
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
  const TensorType type = ResultType(op, types, attributes);
  if (op == OpId::Matmul) {
    const NodePtr packed = PackedColumns(nodes[1]);
    if (packed) nodes[1] = packed;
    if (packed && exact_) attributes.ints = {int64_t(type.dtype), 1};
  } else if (op == OpId::IndexSelect && attributes.ints[0] == 0) {
    const NodePtr packed = PackedRows(nodes[0]);
    if (packed) nodes[0] = packed;
  }
  NodePtr node = MakeRef<Node>(op, type, std::move(nodes),
                               std::move(attributes), location_);
  // Nobody computes a decoding for its own sake: that it is held is no reason.
  if (!PackedSource(*node)) Remember(*node);
  return node;
}

// Products and row look-ups take packed bytes instead of their decoding.

// The packed matrix that `node` decodes, or null.
NodePtr Builder::PackedRows(const NodePtr& node) {
  return node->rank() == 2 && PackedSource(*node) ? node->inputs()[0]
                                                  : NodePtr();
}

// w as the transpose of a packed matrix, perhaps repeated over batches: the
// same view of the packed bytes. Null for anything else. A kernel walks packed
// rows, so products along another axis have to decode.
NodePtr Builder::PackedColumns(const NodePtr& w) {
  if (w->has_value() || w->inputs().empty()) return {};
  const NodePtr& base = w->inputs()[0];
  if (w->op() == OpId::Permute && w->rank() == 2) {
    const NodePtr packed = PackedRows(base);
    return packed ? View(*w, packed) : NodePtr();
  }
  const bool batches = w->op() == OpId::Broadcast || w->op() == OpId::Reshape;
  if (!batches || !SameMatrix(w->shape(), base->shape())) return {};
  const NodePtr packed = PackedColumns(base);
  return packed ? View(*w, packed) : NodePtr();
}

// The view that `like` is, of another base.
NodePtr Builder::View(const Node& like, const NodePtr& base) {
  return MakeRef<Node>(like.op(), TensorType{base->dtype(), like.shape()},
                       std::vector<NodePtr>{base}, like.attributes(),
                       like.location());
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
