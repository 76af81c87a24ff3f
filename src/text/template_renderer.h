// Runs a chat template's tree. Statements and names are template_renderer.cc,
// expressions template_evaluate.cc, what is called template_filters.cc,
// template_lists.cc (filters of lists), template_methods.cc and
// template_tests.cc. Texts are template_strings.h.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/template_ast.h"
#include "text/template_value.h"

namespace tl::jinja {

// Expressions, blocks and macros inside each other at run time; the tree's own
// depth is limited, but macros may call themselves.
inline constexpr int kMaxLevel = 1000;

// What a call, a filter or a test was given.
struct Arguments {
  std::string_view callee;
  Values values;
  std::vector<std::pair<std::string, Value>> named;

  // By parameter, undefined where left out. Fails on what does not fit.
  Values Bind(std::initializer_list<std::string_view> parameters,
              size_t required = 0) const;
};

class Renderer {
 public:
  Renderer(MapObject variables, const std::tm& now, size_t max_output,
           Budget budget);
  ~Renderer();
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  // Throws a Fault; at() is where.
  std::string Run(const Node& root);
  int32_t at() const { return at_; }

  // For filters and tests that apply others.
  Value ApplyFilter(const std::string& name, const Value& value,
                    Arguments& arguments);
  bool ApplyTest(const std::string& name, const Value& value,
                 const Arguments& arguments);
  // `value.path`, where the path may be "a.b.0".
  Value AttributePath(const Value& value, const Value& path);
  Value Arithmetic(const std::string& op, const Value& a, const Value& b);
  Budget& budget() { return budget_; }
  // For looking at every character of a text that is there already.
  void SpendFor(const Value& value) {
    if (value.is_string()) budget_.Spend(value.text().size() / 16 + 1);
  }
  Value NewString(std::string text);
  Value NewList(Values items);

 private:
  enum class Flow { kNext, kBreak, kContinue };

  struct LoopState {
    const Values* items;
    size_t index = 0;
  };
  struct Scope {
    std::unordered_map<std::string, Value> names;
    std::optional<LoopState> loop;
    bool is_macro = false;  // beyond it are only the template's own names
  };

  // template_renderer.cc
  Flow RunNode(const Node& node);
  Flow RunBlock(const Node& block);
  Flow RunIf(const Node& node);
  Flow RunFor(const Node& node);
  Values LoopItems(const Node& node);
  void Write(std::string_view text);
  std::string Capture(const Node& block);
  void Assign(const std::vector<Target>& targets, const Value& value);
  void AssignOne(const Target& target, Value value);
  Value FindName(const std::string& name);
  Value LoopMember(const LoopState& loop, std::string_view name);
  const LoopState* FindLoop() const;
  Value CallMacro(const Node& macro, const Arguments& arguments);
  Value FilteredBlock(const Node& node);

  // template_evaluate.cc
  Value Evaluate(const Node& node);
  Value EvaluateKind(const Node& node);
  Values EvaluateChildren(const Node& node, size_t first = 0);
  Value EvaluateMap(const Node& node);
  Value EvaluateSlice(const Node& node);
  Value EvaluateBinary(const Node& node);
  Value EvaluateCompare(const Node& node);
  Value EvaluateCall(const Node& node);
  Value EvaluateFilter(const Node& node);
  Arguments EvaluateArguments(const Node& node, std::string_view callee);
  Value Attribute(const Value& object, const std::string& name);
  Value Item(const Value& object, const Value& key);
  Value Slice(const Value& object, const Value& start, const Value& stop,
              const Value& step);
  bool Compare(const std::string& op, const Value& a, const Value& b);
  bool Contains(const Value& container, const Value& item);
  Value Repeated(const Value& value, int64_t times);

  // template_methods.cc
  Value Call(const Value& callee, Arguments& arguments);
  Value CallMethod(const Value& self, const std::string& name,
                   const Arguments& arguments);
  Value CallStringMethod(const std::string& text, const std::string& name,
                         const Arguments& arguments);
  Value NewNamespace(const Arguments& arguments);

  class Level {
   public:
    explicit Level(Renderer& renderer);
    ~Level() { --renderer_.level_; }

   private:
    Renderer& renderer_;
  };

  std::vector<Scope> scopes_;
  std::string out_;
  std::vector<std::shared_ptr<MapObject>> namespaces_;
  std::string block_text_;  // what a filter without a value works on
  const std::tm now_;
  const size_t max_output_;
  Budget budget_;
  int32_t at_ = 0;
  int level_ = 0;
};

// Whether a kind of value has the method.
bool HasMethod(const Value& value, std::string_view name);

// Conversions of arguments; fail naming what it is for.
const std::string& StringOf(const Value& value, std::string_view what);
int64_t IntOf(const Value& value, std::string_view what);

}  // namespace tl::jinja
