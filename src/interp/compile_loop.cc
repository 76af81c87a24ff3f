// Loops. The test of a counting loop stands at its end, so that a round costs
// one instruction beside the body.
#include "interp/function_compiler.h"

namespace tl {

void FunctionCompiler::For(const ForStmt& loop) {
  const Scope scope = OpenScope();
  if (!CountedFor(loop)) EachFor(loop);
  CloseScope(scope);
}

// The bounds of `low..high`, or of range(...) where nobody hides it.
bool FunctionCompiler::CountedFor(const ForStmt& loop) {
  const auto* range = FindAs<RangeExpr>(*loop.sequence);
  const auto* call = FindAs<CallExpr>(*loop.sequence);
  if (range == nullptr && (call == nullptr || !IsRangeCall(*call))) {
    return false;
  }
  const Span span = loop.sequence->span;
  const uint16_t first = NewRegisters(4, span);
  const uint16_t end = static_cast<uint16_t>(first + 1);
  const uint16_t step = static_cast<uint16_t>(first + 2);
  ConstantInto(Value::Int(1), step, span);
  if (range != nullptr) {
    Into(*range->low, first);
    Into(*range->high, end);
  } else if (call->arguments.size() == 1) {
    ConstantInto(Value::Int(0), first, span);
    Into(*call->arguments[0].value, end);
  } else {
    Into(*call->arguments[0].value, first);
    Into(*call->arguments[1].value, end);
    if (call->arguments.size() == 3) Into(*call->arguments[2].value, step);
  }
  Emit(span, Opcode::kCountPrepare, first, 0, 0,
       range != nullptr && range->inclusive ? kInclusive : 0);
  LoopBody(loop, Opcode::kCountNext, first, static_cast<uint16_t>(first + 3));
  return true;
}

bool FunctionCompiler::IsRangeCall(const CallExpr& call) {
  const auto* name = FindAs<NameExpr>(*call.callee);
  if (name == nullptr || name->name != "range") return false;
  if (FindVariable("range") ||
      FindFunctionNamed("range")->kind != NameKind::kBuiltin) {
    return false;
  }
  for (const CallArgument& argument : call.arguments) {
    if (!argument.name.empty()) return false;
  }
  return !call.arguments.empty() && call.arguments.size() <= 3;
}

void FunctionCompiler::EachFor(const ForStmt& loop) {
  const Span span = loop.sequence->span;
  const uint16_t first = NewRegisters(3, span);
  Into(*loop.sequence, first);
  Emit(span, Opcode::kEachPrepare, first);
  LoopBody(loop, Opcode::kEachNext, first, static_cast<uint16_t>(first + 2));
  // Else a forgotten register would keep the list shared, and so copied.
  Emit(span, Opcode::kLoadNone, first);
}

void FunctionCompiler::LoopBody(const ForStmt& loop, Opcode next,
                                uint16_t first, uint16_t variable) {
  const size_t entry = EmitJump(loop.sequence->span, Opcode::kJump);
  const size_t body = Here();
  const Scope scope = OpenScope();
  uint16_t declared = variable;
  if (shared_.contains(loop.name)) {
    // Each round's variable is one of its own to the functions that share it.
    declared = NewRegister(loop.name_span);
    Emit(loop.name_span, Opcode::kNewCell, declared, variable);
  }
  variables_.push_back({loop.name, declared, declared != variable});
  loops_.emplace_back();
  BlockScope(loop.body);
  CloseScope(scope);
  const Loop ended = std::move(loops_.back());
  loops_.pop_back();
  LandHere(ended.continues);
  LandHere(entry);
  JumpTo(EmitJump(loop.sequence->span, next, first), body);
  LandHere(ended.breaks);
}

void FunctionCompiler::While(const WhileStmt& loop) {
  const size_t head = Here();
  const std::vector<size_t> misses = JumpsWhen(*loop.condition, false);
  loops_.emplace_back();
  BlockScope(loop.body);
  const Loop ended = std::move(loops_.back());
  loops_.pop_back();
  LandHere(ended.continues);
  JumpBackTo(loop.span, head);
  LandHere(misses);
  LandHere(ended.breaks);
}

void FunctionCompiler::Forever(const LoopStmt& loop) {
  const size_t head = Here();
  loops_.emplace_back();
  BlockScope(loop.body);
  const Loop ended = std::move(loops_.back());
  loops_.pop_back();
  LandHere(ended.continues);
  JumpBackTo(loop.span, head);
  LandHere(ended.breaks);
}

}  // namespace tl
