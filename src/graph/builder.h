// Makes graph nodes: the interpreter's Lowering. Shape errors are raised here,
// when the node is made, so they carry the line that wrote the operation.
#pragma once

#include <functional>

#include "graph/node.h"

namespace tl {

class Builder final : public Lowering {
 public:
  ~Builder() override;

  // A leaf over a tensor with bytes.
  NodePtr Leaf(Tensor tensor);

  TensorRef Number(double value, DType dtype) override;
  uint64_t NextSeed() override;
  double Read(const TensorRef& tensor) override { return reader_(tensor); }

  // How to compute a tensor's number: the graph itself cannot.
  using Reader = std::function<double(const TensorRef&)>;
  void set_reader(Reader reader) { reader_ = std::move(reader); }

  // What Make makes of these operations; their type is known.
  TensorRef MakeOf(OpId op, const TensorType& type, Node::Inputs&& inputs,
                   Attributes&& attributes);

  // Marks the nodes made from now on.
  void set_location(Location location) { location_ = location; }
  Location location() const { return location_; }
  // Unseeded random tensors draw streams 0, 1, 2, ... of this seed.
  void set_seed(uint32_t seed) { seed_ = seed, draws_ = 0; }

  // Products on packed weights in float32 instead of int8.
  void set_exact(bool exact) { exact_ = exact; }

  // Nodes without a value, and the bytes their results will take. The
  // interpreter starts a run when there are too many.
  int64_t pending() const { return pending_; }
  int64_t pending_bytes() const { return pending_bytes_; }
  std::vector<Node*> PendingNodes() const;

 private:
  friend class Node;
  TensorRef Make(OpId op, std::span<const TensorRef> inputs,
                 Attributes attributes) override;
  void ReadPacked(Node::Inputs& inputs, DType result, Attributes& attributes);
  NodePtr PackedRows(const NodePtr& node);
  NodePtr InFloat32(const NodePtr& node);
  NodePtr PackedColumns(const NodePtr& w);
  NodePtr View(const Node& like, const NodePtr& base);
  void Remember(Node& node);
  void Forget(Node& node);

  Reader reader_;
  Location location_ = 0;
  uint32_t seed_ = 0;
  uint32_t draws_ = 0;
  bool exact_ = false;
  int64_t pending_ = 0;
  int64_t pending_bytes_ = 0;
  Node* first_ = nullptr;
};

}  // namespace tl
