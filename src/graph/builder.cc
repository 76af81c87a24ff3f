#include "graph/builder.h"

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

// What Node::indices_of is of a new node.
int64_t IndicesOf(const Node& node) {
  if (node.dtype() != DType::I32) return 0;
  const Node* x = node.inputs().empty() ? nullptr : node.inputs()[0].get();
  switch (node.op()) {
    case OpId::Argmax:
    case OpId::Argmin:
      return x->shape().dim(node.attributes().ints[0]);
    case OpId::NextToken:  // -1 is the last
      return x->shape().size();
    default:
      return Info(node.op()).op_class == OpClass::kView ? x->indices_of : 0;
  }
}

}  // namespace

Builder::~Builder() {
  // Values may outlive the builder: they no longer report to it.
  while (first_) Forget(*first_);
}

NodePtr Builder::Leaf(Tensor tensor) {
  NodePtr node =
      MakeRef<Node>(OpId::kLeaf, TensorType{tensor.dtype, tensor.shape},
                    Node::Inputs{}, Attributes{}, location_);
  node->SetValue(std::move(tensor));
  return node;
}

TensorRef Builder::Number(double value, DType dtype) {
  return MakeRef<Node>(OpId::kNumber, TensorType{dtype, Shape{}},
                       Node::Inputs{}, Attributes{{}, {value}}, location_);
}

uint64_t Builder::NextSeed() { return uint64_t{draws_++} << 32 | seed_; }

TensorRef Builder::Make(OpId op, std::span<const TensorRef> inputs,
                        Attributes attributes) {
  InlineVector<TensorType, 4> types;
  Node::Inputs nodes;
  for (const TensorRef& input : inputs) {
    types.emplace_back(input->type());
    nodes.emplace_back(AsNode(input));
  }
  const TensorType type = ResultType(op, types, attributes);
  return MakeOf(op, type, std::move(nodes), std::move(attributes));
}

TensorRef Builder::MakeOf(OpId op, const TensorType& type, Node::Inputs&& inputs,
                          Attributes&& attributes) {
  if (op == OpId::Matmul) {
    ReadPacked(inputs, type.dtype, attributes);
  } else if (op == OpId::IndexSelect && attributes.ints[0] == 0) {
    const NodePtr packed = PackedRows(inputs[0]);
    if (packed) inputs[0] = packed;
  }
  NodePtr node = MakeRef<Node>(op, type, std::move(inputs),
                               std::move(attributes), location_);
  node->indices_of = IndicesOf(*node);
  // Nobody computes a decoding for its own sake: that it is held is no reason.
  if (!PackedSource(*node)) Remember(*node);
  return node;
}

// A product's packed weights as they are. An exact one wants what it decodes in
// float32, too.
void Builder::ReadPacked(Node::Inputs& inputs, DType result,
                         Attributes& attributes) {
  const bool exact =
      exact_ || (attributes.ints.size() > 1 && attributes.ints[1] == 1);
  const NodePtr packed = PackedColumns(inputs[1]);
  if (packed) inputs[1] = packed;
  if (!exact) return;
  for (NodePtr& input : inputs) input = InFloat32(input);
  attributes.ints = {int64_t(result), 1};
}

// The packed matrix that `node` decodes, or a stretch of its rows; else null.
NodePtr Builder::PackedRows(const NodePtr& node) {
  if (node->rank() != 2) return {};
  if (PackedSource(*node)) return node->inputs()[0];
  const auto& ints = node->attributes().ints;
  const bool stretch = !node->has_value() && node->op() == OpId::Slice &&
                       ints[0] == 0 && ints[2] == 1;
  const NodePtr packed = stretch ? PackedRows(node->inputs()[0]) : NodePtr();
  return packed ? View(*node, packed) : NodePtr();
}

// A decoding of packed weights, or a view of one, in float32; any other node is
// itself.
NodePtr Builder::InFloat32(const NodePtr& node) {
  if (PackedSource(*node)) {
    if (node->dtype() == DType::F32) return node;
    return MakeRef<Node>(OpId::Decode, TensorType{DType::F32, node->shape()},
                         Node::Inputs(node->inputs()),
                         Attributes{{int64_t(DType::F32)}, {}},
                         node->location());
  }
  const bool view =
      !node->has_value() && Info(node->op()).op_class == OpClass::kView;
  if (!view) return node;
  const NodePtr base = InFloat32(node->inputs()[0]);
  return base.get() == node->inputs()[0].get() ? node : View(*node, base);
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
                       Node::Inputs{base}, Attributes(like.attributes()),
                       like.location());
}

std::vector<Node*> Builder::PendingNodes() const {
  std::vector<Node*> nodes;
  nodes.reserve(pending_);
  for (Node* node = first_; node; node = node->next_) nodes.push_back(node);
  return nodes;
}

void Builder::Remember(Node& node) {
  // Fails for more elements than can be counted, while nothing is linked yet.
  const int64_t bytes = OwnBytes(node);
  node.builder_ = this;
  node.pending_bytes_ = bytes;
  node.next_ = first_;
  if (first_) first_->previous_ = &node;
  first_ = &node;
  ++pending_;
  pending_bytes_ += bytes;
}

void Builder::Forget(Node& node) {
  (node.previous_ ? node.previous_->next_ : first_) = node.next_;
  if (node.next_) node.next_->previous_ = node.previous_;
  node.previous_ = node.next_ = nullptr;
  node.builder_ = nullptr;
  --pending_;
  pending_bytes_ -= node.pending_bytes_;
}

}  // namespace tl
