// The tensor functions of the language: what they are called, what they take,
// and how each is lowered to operations. One row in functions.def and one C++
// function `Id` in functions_*.cc each. An elementwise row is a function by
// itself, unless functions.def has one of the same name.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "ops/lowering.h"

namespace tl {

struct FunctionResult {
  FunctionResult(TensorRef tensor) : tensors{std::move(tensor)} {}
  static FunctionResult List(std::vector<TensorRef> tensors) {
    FunctionResult result{nullptr};
    result.tensors = tensors;
    result.is_list = true;
    return result;
  }

  InlineVector<TensorRef, 1> tensors;
  bool is_list = false;  // the language sees a list, even of one
};

struct FunctionInfo {
  std::string_view name;
  std::string_view signature;  // see functions.def
  std::string_view doc;
  FunctionResult (*lower)(const Call&);
  OpId row = OpId::kLeaf;  // the row of elementwise.def that it is, if it is one
};

std::span<const FunctionInfo> Functions();
const FunctionInfo* FindFunction(std::string_view name);  // null if unknown

}  // namespace tl
