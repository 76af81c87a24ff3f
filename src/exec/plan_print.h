// Plans as text, and what a step costs: for `tl plan` and `tl run --profile`.
#pragma once

#include <functional>
#include <string>

#include "exec/plan.h"

namespace tl {

struct StepCost {
  int64_t bytes = 0;  // operands and results, each element once
  int64_t flops = 0;  // multiply and add count as two
};

StepCost CostOf(const Plan& plan, const Step& step);

// "matmul: add, relu", "add, mul".
std::string NameOf(const Step& step);

// One line per step:
//   1  matmul: add, relu   float16[450, 32] = float16[450, 64], ...   58 KB ...
// ending in what `where` says about the place in the program that asks for it.
std::string PrintPlan(const Plan& plan,
                      const std::function<std::string(const Step&)>& where);

// "1.5 MB": decimal units, as disks and bandwidths are quoted.
std::string FormatBytes(double bytes);

}  // namespace tl
