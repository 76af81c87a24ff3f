// A MIL program ready to run: names resolved to slots, constants made once.
// Running it walks its operations and grows the host's graph by them; shapes are
// known by then, so that control flow and computed shapes are plain C++. What
// runs is decided when it is made: an operation that is not there fails then.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coreml/mil_block.h"

namespace tl::coreml {

class MilProgram {
 public:
  // `function` of `program`, both of `coreml`, which must outlive this.
  MilProgram(const CoreMl& coreml, const Model& model,
             const spec::Program& program, std::string_view function,
             Host& host);

  const std::vector<std::string>& inputs() const { return body_.inputs; }
  const std::vector<std::string>& outputs() const { return body_.outputs; }

  // One value for each input, and one for each output, in their order. States
  // are zeros in the first run, then what the last one that came to its end left.
  std::vector<Value> Run(const std::vector<Value>& inputs);

 private:
  std::vector<Value> RunBlock(const MilBlock& block,
                              const std::vector<Value>& inputs);
  void RunOperation(const MilOperation& operation);
  std::vector<Value> Results(const MilOperation& operation);
  std::vector<Value> Call(const MilOperation& operation);
  std::vector<Value> Branch(const MilOperation& operation);
  std::vector<Value> Loop(const MilOperation& operation);
  std::vector<Value> Read(std::span<const int> slots) const;

  Host& host_;
  MilFunctionBody body_;
  // What every name stands for now; empty once nobody asks for it again, so
  // that the graph is free to fuse and to reuse memory.
  std::vector<Value> slots_;
};

}  // namespace tl::coreml
