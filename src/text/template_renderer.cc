#include "text/template_renderer.h"

#include <fmt/format.h>

#include <algorithm>

namespace tl::jinja {

Renderer::Level::Level(Renderer& renderer) : renderer_(renderer) {
  if (renderer_.level_ >= kMaxLevel) {
    FailWith(
        fmt::format("macros and expressions inside each other, more than "
                    "{}",
                    kMaxLevel));
  }
  ++renderer_.level_;
}

Renderer::Renderer(MapObject variables, const std::tm& now, size_t max_output,
                   Budget budget)
    : now_(now), max_output_(max_output), budget_(budget) {
  Scope& root = scopes_.emplace_back();
  for (const char* name :
       {"range", "namespace", "dict", "raise_exception", "strftime_now"}) {
    root.names[name] = Value::Function({name, nullptr, Value()});
  }
  for (auto& [key, value] : variables.entries) root.names[key.text()] = value;
}

// A namespace may hold itself.
Renderer::~Renderer() {
  for (const auto& attributes : namespaces_) *attributes = MapObject();
}

std::string Renderer::Run(const Node& root) {
  RunBlock(root);
  return std::move(out_);
}

Value Renderer::NewString(std::string text) {
  budget_.Spend(text.size() + 1);
  return Value::String(std::move(text));
}

// An element takes the memory of some characters.
Value Renderer::NewList(Values items) {
  budget_.Spend(8 * items.size() + 1);
  return Value::List(std::move(items));
}

void Renderer::Write(std::string_view text) {
  if (text.size() > max_output_ - out_.size()) {
    FailWith(
        fmt::format("the template writes more than {} bytes", max_output_));
  }
  budget_.Spend(text.size());
  out_ += text;
}

// What a block writes, as a text of its own.
std::string Renderer::Capture(const Node& block) {
  std::string outside = std::exchange(out_, {});
  RunBlock(block);
  return std::exchange(out_, std::move(outside));
}

Renderer::Flow Renderer::RunBlock(const Node& block) {
  const Level level(*this);
  const bool own_scope = block.name == "scope";
  if (own_scope) scopes_.emplace_back();
  Flow flow = Flow::kNext;
  for (const NodePtr& child : block.children) {
    flow = RunNode(*child);
    if (flow != Flow::kNext) break;
  }
  if (own_scope) scopes_.pop_back();
  return flow;
}

Renderer::Flow Renderer::RunNode(const Node& node) {
  budget_.Spend(1);
  at_ = node.at;
  switch (node.kind) {
    case NodeKind::kText:
      Write(node.name);
      break;
    case NodeKind::kOutput:
      Write(TextOf(Evaluate(*node.children[0]), budget_));
      break;
    case NodeKind::kBlock:
      return RunBlock(node);
    case NodeKind::kIf:
      return RunIf(node);
    case NodeKind::kFor:
      return RunFor(node);
    case NodeKind::kSet: {
      const Value value = Evaluate(*node.children[0]);
      at_ = node.at;
      Assign(node.targets, value);
      break;
    }
    case NodeKind::kSetBlock:
      AssignOne(node.targets[0], FilteredBlock(node));
      break;
    case NodeKind::kFilterBlock:
      Write(TextOf(FilteredBlock(node), budget_));
      break;
    case NodeKind::kMacro:
      AssignOne({node.name, ""}, Value::Function({node.name, &node, Value()}));
      break;
    case NodeKind::kBreak:
      return Flow::kBreak;
    case NodeKind::kContinue:
      return Flow::kContinue;
    default:
      FailWith("an expression where a statement belongs");
  }
  return Flow::kNext;
}

// children: the block, and filters whose innermost takes its text.
Value Renderer::FilteredBlock(const Node& node) {
  std::string text = Capture(*node.children[0]);
  if (!node.children[1]) return NewString(std::move(text));
  std::string outside = std::exchange(block_text_, std::move(text));
  Value value = Evaluate(*node.children[1]);
  block_text_ = std::move(outside);
  return value;
}

Renderer::Flow Renderer::RunIf(const Node& node) {
  size_t i = 0;
  for (; i + 1 < node.children.size(); i += 2) {
    if (IsTrue(Evaluate(*node.children[i]))) {
      return RunBlock(*node.children[i + 1]);
    }
  }
  return i < node.children.size() ? RunBlock(*node.children[i]) : Flow::kNext;
}

// What a loop goes over: all items, or those that its condition holds for.
Values Renderer::LoopItems(const Node& node) {
  const Value sequence = Evaluate(*node.children[0]);
  at_ = node.at;
  Values items = ItemsOf(sequence, budget_);
  if (!node.children[1]) return items;
  Values kept;
  scopes_.emplace_back();
  for (Value& item : items) {
    Assign(node.targets, item);
    if (IsTrue(Evaluate(*node.children[1]))) kept.push_back(std::move(item));
  }
  scopes_.pop_back();
  return kept;
}

Renderer::Flow Renderer::RunFor(const Node& node) {
  const Values items = LoopItems(node);
  if (items.empty()) {
    return node.children[3] ? RunBlock(*node.children[3]) : Flow::kNext;
  }
  scopes_.emplace_back();
  const size_t mine = scopes_.size() - 1;
  for (size_t i = 0; i < items.size(); ++i) {
    scopes_[mine].names.clear();
    scopes_[mine].loop = LoopState{&items, i};
    at_ = node.at;
    Assign(node.targets, items[i]);
    if (RunBlock(*node.children[2]) == Flow::kBreak) break;
  }
  scopes_.pop_back();
  return Flow::kNext;
}

void Renderer::Assign(const std::vector<Target>& targets, const Value& value) {
  if (targets.size() == 1) return AssignOne(targets[0], value);
  const Values parts = ItemsOf(value, budget_);
  if (parts.size() != targets.size()) {
    FailWith(
        fmt::format("{} values for {} names", parts.size(), targets.size()));
  }
  for (size_t i = 0; i < parts.size(); ++i) AssignOne(targets[i], parts[i]);
}

void Renderer::AssignOne(const Target& target, Value value) {
  budget_.Spend(8);
  if (target.attribute.empty()) {
    scopes_.back().names[target.name] = std::move(value);
    return;
  }
  const Value space = FindName(target.name);
  if (!space.is(Kind::kNamespace)) {
    FailWith(
        fmt::format("'{}' is a {}; only attributes of a namespace can be "
                    "set",
                    target.name, TypeName(space)));
  }
  space.attributes().Set(target.attribute, std::move(value));
}

Value Renderer::FindName(const std::string& name) {
  budget_.Spend(name.size() / 16);
  for (size_t i = scopes_.size(); i-- > 0;) {
    const Scope& scope = scopes_[i];
    const auto found = scope.names.find(name);
    if (found != scope.names.end()) return found->second;
    if (scope.loop && name == "loop") {
      MapObject members;
      for (const char* member :
           {"index", "index0", "revindex", "revindex0", "first", "last",
            "length", "previtem", "nextitem", "depth", "depth0"}) {
        members.Set(member, LoopMember(*scope.loop, member));
      }
      budget_.Spend(80);
      return Value::Map(std::move(members));
    }
    if (scope.is_macro) i = 1;  // next: the template's own names
  }
  return Value::Undefined(fmt::format("'{}' is not defined", name));
}

const Renderer::LoopState* Renderer::FindLoop() const {
  for (size_t i = scopes_.size(); i-- > 0;) {
    if (scopes_[i].names.contains("loop")) return nullptr;
    if (scopes_[i].loop) return &*scopes_[i].loop;
    if (scopes_[i].is_macro) return nullptr;
  }
  return nullptr;
}

Value Renderer::LoopMember(const LoopState& loop, std::string_view name) {
  const auto index = static_cast<int64_t>(loop.index);
  const auto length = static_cast<int64_t>(loop.items->size());
  if (name == "index") return Value::Int(index + 1);
  if (name == "index0") return Value::Int(index);
  if (name == "revindex") return Value::Int(length - index);
  if (name == "revindex0") return Value::Int(length - index - 1);
  if (name == "first") return Value::Bool(index == 0);
  if (name == "last") return Value::Bool(index + 1 == length);
  if (name == "length") return Value::Int(length);
  if (name == "depth") return Value::Int(1);
  if (name == "depth0") return Value::Int(0);
  if (name == "previtem" && index > 0) return (*loop.items)[loop.index - 1];
  if (name == "nextitem" && index + 1 < length) {
    return (*loop.items)[loop.index + 1];
  }
  return Value::Undefined(fmt::format("'loop' has no '{}' here", name));
}

Value Renderer::CallMacro(const Node& macro, const Arguments& arguments) {
  const std::vector<Target>& parameters = macro.targets;
  if (arguments.values.size() > parameters.size()) {
    FailWith(fmt::format("macro '{}' takes {} arguments, got {}", macro.name,
                         parameters.size(), arguments.values.size()));
  }
  std::unordered_map<std::string, Value> given;
  for (size_t i = 0; i < arguments.values.size(); ++i) {
    given[parameters[i].name] = arguments.values[i];
  }
  for (const auto& [name, value] : arguments.named) {
    const bool known = std::any_of(
        parameters.begin(), parameters.end(),
        [&name = name](const Target& target) { return target.name == name; });
    if (!known || !given.emplace(name, value).second) {
      FailWith(
          fmt::format(known ? fmt::runtime("macro '{}' is given '{}' twice")
                            : fmt::runtime("macro '{}' has no parameter '{}'"),
                      macro.name, name));
    }
  }
  scopes_.emplace_back().is_macro = true;
  scopes_.back().names = std::move(given);
  for (const Keyword& keyword : macro.keywords) {
    if (scopes_.back().names.contains(keyword.name)) continue;
    Value value = Evaluate(*keyword.value);
    scopes_.back().names[keyword.name] = std::move(value);
  }
  for (const Target& parameter : parameters) {
    scopes_.back().names.try_emplace(
        parameter.name, Value::Undefined(fmt::format(
                            "parameter '{}' was not given", parameter.name)));
  }
  std::string text = Capture(*macro.children[0]);
  scopes_.pop_back();
  return NewString(std::move(text));
}

Values Arguments::Bind(std::initializer_list<std::string_view> parameters,
                       size_t required) const {
  if (values.size() > parameters.size()) {
    FailWith(fmt::format("{} takes at most {} arguments, got {}", callee,
                         parameters.size(), values.size()));
  }
  Values bound = values;
  bound.resize(parameters.size());
  for (const auto& [name, value] : named) {
    const auto at = std::find(parameters.begin(), parameters.end(), name);
    if (at == parameters.end()) {
      FailWith(fmt::format("{} has no parameter '{}'", callee, name));
    }
    bound[at - parameters.begin()] = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (i >= values.size() && !bound[i].is_defined()) {
      FailWith(fmt::format("{} needs '{}'", callee, parameters.begin()[i]));
    }
  }
  return bound;
}

}  // namespace tl::jinja
