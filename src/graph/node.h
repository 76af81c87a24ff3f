// The lazy graph: a node is one operation on other nodes, or a tensor, or a
// number. Nodes are made by a Builder (builder.h), never change what they mean,
// and get their value from an executor (exec/executor.h), which then lets go of
// the inputs. All nodes of a program belong to one thread.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "ops/lowering.h"
#include "tensor/tensor.h"

namespace tl {

class Builder;
class Node;
using NodePtr = Ref<Node>;

// Where in the program a node was written: made and read by interp.
using Location = uint64_t;

class Node final : public TensorValue {
 public:
  using Inputs = InlineVector<NodePtr, 3>;

  Node(OpId op, const TensorType& type, Inputs&& inputs,
       Attributes&& attributes, Location location)
      : TensorValue(type),
        op_(op),
        location_(location),
        inputs_(std::move(inputs)),
        attributes_(std::move(attributes)) {}
  ~Node() override { Unlink(); }

  // Nodes come and go by the thousand: the memory of those that went serves
  // the next.
  static void* operator new(size_t bytes);
  static void operator delete(void* node);

  OpId op() const { return op_; }
  Location location() const { return location_; }
  const Inputs& inputs() const { return inputs_; }
  const Attributes& attributes() const { return attributes_; }
  double number() const { return attributes_.numbers[0]; }  // kNumber only

  // A leaf's bytes, or the result once it is computed.
  bool has_value() const { return static_cast<bool>(value_); }
  const Tensor& value() const { return value_; }
  // Gives the result and lets go of the inputs.
  void SetValue(Tensor value);

  // What a backend made of a leaf's bytes, to be found at its next use; see
  // Backend::Prepare.
  struct Prepared {
    OpId op;
    std::vector<int64_t> key;  // attributes, and the shape it was seen in
    std::shared_ptr<const void> data;
  };
  Prepared& prepared() const { return elsewhere().prepared; }

  // The same bytes in the memory of the other device, once they were needed
  // there: a weight on the GPU, or a result in host memory. Else no tensor.
  const Tensor& mirror() const;
  void SetMirror(Tensor mirror) const { elsewhere().mirror = std::move(mirror); }

  // As indices they have their place on an axis of so many elements or more; 0:
  // that is not known.
  int64_t indices_of = 0;

  // The planner's number for this node while it works; meaningless otherwise.
  mutable int32_t mark = -1;

 private:
  friend class Builder;
  // Of the few nodes that have any of it.
  struct Elsewhere {
    Prepared prepared;
    Tensor mirror;
  };
  Elsewhere& elsewhere() const;
  // Releases whole chains in a loop: a program may build a million nodes deep.
  void Destroy() override;
  void Unlink();

  OpId op_;
  Location location_;
  Inputs inputs_;
  Attributes attributes_;
  Tensor value_;
  mutable std::unique_ptr<Elsewhere> elsewhere_;
  // The builder's list of nodes without a value.
  Builder* builder_ = nullptr;
  int64_t pending_bytes_ = 0;  // what it counts for in the builder
  Node* previous_ = nullptr;
  Node* next_ = nullptr;
};

// The language's tensors are nodes; a checker's are not and never come here.
inline NodePtr AsNode(const TensorRef& tensor) {
  return NodePtr(static_cast<Node*>(tensor.get()));
}

// Bytes of the result.
int64_t ResultBytes(const Node& node);

// The packed leaf that `node` decodes, or null if it is not such a node. It
// keeps the leaf even when its own value is known.
inline const Node* PackedSource(const Node& node) {
  // A decoding of anything else has let go of its leaf once it has a value.
  const bool packed = node.op() == OpId::Decode && !node.inputs().empty() &&
                      IsPacked(node.inputs()[0]->dtype());
  return packed ? node.inputs()[0].get() : nullptr;
}

}  // namespace tl
