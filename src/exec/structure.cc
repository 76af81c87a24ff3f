#include "exec/structure.h"

#include "base/hash.h"

namespace tl {
namespace {

using Input = Structure::Input;

class Collector {
 public:
  explicit Collector(Structure& out) : out_(out) {}

  // Post-order without recursion: a program may build very deep graphs.
  void Visit(Node* root) {
    if (Seen(root)) return;
    stack_ = {{root, 0}};
    while (!stack_.empty()) {
      auto& [node, next] = stack_.back();
      if (next < node->inputs().size()) {
        Node* input = node->inputs()[next++].get();
        if (Seen(input)) continue;
        if (input->inputs().empty()) {
          Add(input);
        } else {
          stack_.push_back({input, 0});
        }
      } else {
        if (!Seen(node)) Add(node);
        stack_.pop_back();
      }
    }
  }

  // Marks are positions while collecting and -1 otherwise.
  void Finish() {
    for (const Structure::Item& item : out_.items) item.node->mark = -1;
    for (Node* node : out_.leaves) node->mark = -1;
    for (Node* node : numbers_) node->mark = -1;
    const Input* next = out_.inputs.data();
    for (Structure::Item& item : out_.items) {
      item.inputs = {next, item.node->inputs().size()};
      next += item.inputs.size();
    }
  }

 private:
  static bool IsOperation(const Node* node) {
    return !node->has_value() && node->op() != OpId::kNumber;
  }
  static bool Seen(const Node* node) { return node->mark >= 0; }

  void Add(Node* node) {
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
      numbers_.push_back(node);
      node->mark = first;
      return;
    }
    for (const NodePtr& input : node->inputs()) {
      out_.inputs.push_back({KindOf(input.get()), input->mark});
    }
    node->mark = static_cast<int32_t>(out_.items.size());
    out_.items.push_back({node, {}, first});
  }

  static Input::Kind KindOf(const Node* node) {
    if (IsOperation(node)) return Input::Kind::kNode;
    return node->has_value() ? Input::Kind::kLeaf : Input::Kind::kNumber;
  }

  Structure& out_;
  std::vector<Node*> numbers_;
  std::vector<std::pair<Node*, size_t>> stack_;
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
  explicit KeyWriter(Structure& structure) : structure_(structure) {}

  // A sum of products, which do not wait for each other: there are thousands.
  void Put(int64_t value) {
    structure_.key.push_back(value);
    sum_ += static_cast<uint64_t>(value) * factor_;
    factor_ += 2 * kFactor;
  }
  void End() { structure_.hash = HashWord(structure_.key.size(), sum_); }
  void Put(const Shape& shape) {
    Put(shape.rank());
    for (Dim dim : shape) Put(dim.value());
  }

 private:
  static constexpr uint64_t kFactor = 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio

  Structure& structure_;
  uint64_t sum_ = 0, factor_ = kFactor;
};

void WriteKey(Structure& structure) {
  KeyWriter key(structure);
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
  key.End();
}

void Empty(Structure& structure) {
  structure.items.clear();
  structure.leaves.clear();
  structure.numbers.clear();
  structure.number_dtypes.clear();
  structure.key.clear();
  structure.hash = 0;
  structure.inputs.clear();
}

}  // namespace

Structure CollectStructure(std::span<Node* const> wanted,
                           std::span<Node* const> visit, Structure room) {
  Structure structure = std::move(room);
  Empty(structure);
  Collector collector(structure);
  for (Node* node : wanted) collector.Visit(node);
  for (Node* node : visit) collector.Visit(node);
  for (Node* node : wanted) {
    if (!node->has_value() && node->op() != OpId::kNumber) {
      structure.items[node->mark].wanted = true;
    }
  }
  collector.Finish();
  FindHeld(structure);
  WriteKey(structure);
  return structure;
}

}  // namespace tl
