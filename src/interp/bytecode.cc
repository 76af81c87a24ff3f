#include "interp/bytecode.h"

#include <utility>

namespace tl {

size_t ProgramCode::AddFunction(const Ref<CodeUnit>& unit) {
  size_t number = functions.size();
  if (free_functions_.empty()) {
    functions.emplace_back();
  } else {
    number = free_functions_.back();
    free_functions_.pop_back();
  }
  functions[number] = std::make_unique<FunctionCode>();
  functions[number]->unit = unit;
  if (unit) unit->functions.push_back(number);
  return number;
}

size_t ProgramCode::AddModule(ModuleCode module, const Ref<CodeUnit>& unit) {
  size_t number = modules.size();
  if (free_modules_.empty()) {
    modules.emplace_back();
  } else {
    number = free_modules_.back();
    free_modules_.pop_back();
  }
  modules[number] = std::move(module);
  if (unit) unit->modules.push_back(number);
  return number;
}

void ProgramCode::DropUnused() {
  // Constants of one unit may be functions of an earlier one.
  for (size_t i = units.size(); i-- > 0;) {
    if (!units[i]->is_used()) Drop(*units[i]);
  }
  std::erase_if(units, [](const Ref<CodeUnit>& unit) {
    return unit->functions.empty();
  });
}

void ProgramCode::Drop(CodeUnit& unit) {
  for (size_t number : std::exchange(unit.functions, {})) {
    functions[number] = nullptr;
    free_functions_.push_back(number);
  }
  for (size_t number : unit.modules) {
    modules[number] = {};
    free_modules_.push_back(number);
  }
}

}  // namespace tl
