// Bytecode as text. See opcodes.def for what each line means.
#include <fmt/format.h>

#include "interp/bytecode.h"
#include "interp/format_value.h"

namespace tl {
namespace {

struct OpcodeRow {
  std::string_view name;
  std::string_view operands;
};

constexpr OpcodeRow kOpcodes[] = {
#define TL_OPCODE(id, operands, meaning) {#id, operands},
#include "interp/opcodes.def"
};

std::string ConstantText(const Value& value) {
  switch (value.tag()) {
    case Tag::kInt:
      return fmt::format("{}", value.as_int());
    case Tag::kFloat:
      return FloatText(value.as_float());
    case Tag::kString:
      return Quoted(value.as_string());
    case Tag::kNone:
    case Tag::kUnset:
    case Tag::kBool:
    case Tag::kBuiltin:
    case Tag::kList:
    case Tag::kMap:
    case Tag::kRange:
    case Tag::kFunction:
    case Tag::kCell:
    case Tag::kTensor:
    case Tag::kHandle:
      break;
  }
  return fmt::format("<{}>", TypeName(value));
}

std::string OperandText(const FunctionCode& function, char kind,
                        uint16_t operand) {
  if (kind == 'r') return fmt::format(" r{}", operand);
  if (kind == 'k') return " " + ConstantText(function.constants[operand]);
  if (kind == 'n') return fmt::format(" {}", operand);
  return "";
}

}  // namespace

std::string Disassemble(const FunctionCode& function) {
  std::string text;
  for (size_t at = 0; at < function.code.size(); ++at) {
    const Instruction i = function.code[at];
    const OpcodeRow& row = kOpcodes[static_cast<size_t>(i.op)];
    text += fmt::format("{} {}", at, row.name);
    const uint16_t operands[] = {i.a, i.b, i.c};
    for (size_t n = 0; n < row.operands.size(); ++n) {
      if (row.operands[n] == 'j') {
        const int64_t target = static_cast<int64_t>(at) + 1 + i.jump();
        text += i.op == Opcode::kLoadInt ? fmt::format(" {}", i.jump())
                                         : fmt::format(" to {}", target);
      } else {
        text += OperandText(function, row.operands[n], operands[n]);
      }
    }
    text += '\n';
  }
  return text;
}

}  // namespace tl
