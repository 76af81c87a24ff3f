#include "exec/structure.h"

namespace tl {
namespace {

using Input = Structure::Input;

class Collector {
 public:
  explicit Collector(Structure& out) : out_(out) {}

  // Post-order without recursion: a program may build very deep graphs.
  void Visit(Node* root) {
    if (Seen(root)) return;
    std::vector<std::pair<Node*, size_t>> stack = {{root, 0}};
    while (!stack.empty()) {
      auto& [node, next] = stack.back();
      if (next < node->inputs().size()) {
        Node* input = node->inputs()[next++].get();
        if (!Seen(input)) stack.push_back({input, 0});
      } else {
        if (!Seen(node)) Add(node);
        stack.pop_back();
      }
    }
  }

  // Marks are positions while collecting and -1 otherwise.
  void ClearMarks() {
    for (Node* node : marked_) node->mark = -1;
  }

 private:
  static bool IsOperation(const Node* node) {
    return !node->has_value() && node->op() != OpId::kNumber;
  }
  static bool Seen(const Node* node) { return node->mark >= 0; }

  void Add(Node* node) {
    marked_.push_back(node);
    if (node->has_value()) {
      node->mark = static_cast<int32_t>(out_.leaves.size());
      out_.leaves.push_back(node);
      return;
    }
    const auto first = static_cast<int32_t>(out_.numbers.size());
    for (double number : node->attributes().numbers) {
      out_.numbers.push_back(number);
      out_.number_dtypes.push_back(node->op() == OpId::kNumber ? node->dtype()
                                                               : DType::F64);
    }
    if (node->op() == OpId::kNumber) {
      node->mark = first;
      return;
    }
    Structure::Item item{node, {}, first};
    for (const NodePtr& input : node->inputs()) {
      item.inputs.push_back({KindOf(input.get()), input->mark});
    }
    node->mark = static_cast<int32_t>(out_.items.size());
    out_.items.push_back(std::move(item));
  }

  static Input::Kind KindOf(const Node* node) {
    if (IsOperation(node)) return Input::Kind::kNode;
    return node->has_value() ? Input::Kind::kLeaf : Input::Kind::kNumber;
  }

  Structure& out_;
  std::vector<Node*> marked_;
};

// A node is held if it has more references than the run itself accounts for.
// A held view costs nothing to keep as a view, but what it looks at must stay.
void FindHeld(Structure& structure) {
  std::vector<uint32_t> uses(structure.items.size(), 0);
  for (const auto& item : structure.items) {
    for (const Input& input : item.inputs) {
      if (input.kind == Input::Kind::kNode) ++uses[input.index];
    }
  }
  for (size_t i = structure.items.size(); i-- > 0;) {
    Structure::Item& item = structure.items[i];
    item.held = item.held || item.node->use_count() > uses[i];
    if (item.held && Info(item.node->op()).op_class == OpClass::kView) {
      const Input& base = item.inputs[0];
      if (base.kind == Input::Kind::kNode) {
        structure.items[base.index].held = true;
      }
      item.held = false;
    }
  }
}

class KeyWriter {
 public:
  explicit KeyWriter(std::string& key) : key_(key) {}

  void Put(int64_t value) {
    key_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void Put(const Shape& shape) {
    Put(shape.rank());
    for (Dim dim : shape) Put(dim.value());
  }

 private:
  std::string& key_;
};

void WriteKey(Structure& structure) {
  KeyWriter key(structure.key);
  key.Put(static_cast<int64_t>(structure.items.size()));
  for (const Structure::Item& item : structure.items) {
    const Attributes& attributes = item.node->attributes();
    key.Put(int64_t(item.node->op()) | int64_t(item.held) << 8 |
            int64_t(item.wanted) << 9 | int64_t(item.inputs.size()) << 16 |
            int64_t(attributes.ints.size()) << 32);
    for (int64_t value : attributes.ints) key.Put(value);
    for (const Input& input : item.inputs) {
      key.Put(int64_t(input.kind) << 32 | input.index);
    }
  }
  for (const Node* leaf : structure.leaves) {
    key.Put(int64_t(leaf->dtype()));
    key.Put(leaf->shape());
  }
  for (DType dtype : structure.number_dtypes) key.Put(int64_t(dtype));
}

}  // namespace

Structure CollectStructure(std::span<Node* const> wanted,
                           std::span<Node* const> visit) {
  Structure structure;
  Collector collector(structure);
  for (Node* node : wanted) collector.Visit(node);
  for (Node* node : visit) collector.Visit(node);
  for (Node* node : wanted) {
    if (!node->has_value() && node->op() != OpId::kNumber) {
      structure.items[node->mark].wanted = true;
    }
  }
  collector.ClearMarks();
  FindHeld(structure);
  WriteKey(structure);
  return structure;
}

}  // namespace tl
