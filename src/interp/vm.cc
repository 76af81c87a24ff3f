#include "interp/vm.h"

#include <fmt/format.h>

#include <cstdlib>
#include <new>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/utf8.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "interp/ranges.h"

namespace tl {
namespace {

// Of a deep recursion the innermost calls say enough.
constexpr size_t kShownCalls = 10;

// Zeroed pages are untouched until used, and all zero bits are none.
Value* AllocateRegisters() {
  static_assert(static_cast<int>(Tag::kNone) == 0);
  void* block = std::calloc(kMaxRegisters, sizeof(Value));
  if (block == nullptr) throw std::bad_alloc();
  return static_cast<Value*>(block);
}

// Every call has cleared its registers when it ended.
void FreeRegisters(Value* registers) { std::free(registers); }

}  // namespace

Vm::Vm(const ProgramCode& program, const Sources& sources, Tensors& tensors,
       Models& models, Output& output, Environment environment)
    : program_(program),
      sources_(sources),
      tensors_(tensors),
      models_(models),
      output_(output),
      environment_(std::move(environment)),
      registers_(AllocateRegisters(), FreeRegisters),
      frames_(new Frame[kMaxCallDepth + 1]),
      frame_(frames_.get()) {
  static const FunctionCode outside;
  *frame_ = {&outside, nullptr, registers_.get(), registers_.get(), nullptr, 0};
}

Vm::~Vm() {
  globals_.clear();
  // A function may sit in a variable it shares; that would keep both alive.
  while (cells_ != nullptr) {
    Value held = std::move(cells_->value);
    CellObject* cell = cells_;
    held.Clear();
    if (cells_ == cell) cell->Unlink();
  }
}

Span Vm::where() const {
  const FunctionCode& code = *frame_->code;
  if (frame_->pc == nullptr || code.spans.empty()) return {};
  const ptrdiff_t at = frame_->pc - code.code.data() - 1;
  return code.spans[static_cast<size_t>(at < 0 ? 0 : at)];
}

void Vm::FailDepth(const FunctionCode& code) const {
  Fail(ErrorKind::kProgram, "call depth {} exceeded by {}", kMaxCallDepth,
       code.QuotedName());
}

void Vm::FailUnset(uint16_t slot) const {
  Fail(ErrorKind::kProgram, "'{}' is used before it has a value",
       program_.global_names[slot]);
}

void Vm::Push(const FunctionCode& code, Value* base, Value* first,
              const FunctionObject* function, uint16_t result) {
  PollInterrupt();
  if (frame_ == frames_.get() + kMaxCallDepth ||
      base + code.registers > registers_.get() + kMaxRegisters) {
    FailDepth(code);
  }
  ++frame_;
  *frame_ = {&code, code.code.data(), base, first, function, result};
}

void Vm::ClearFrame() {
  Value* const end = frame_->base + frame_->code->registers;
  for (Value* value = frame_->first; value != end; ++value) {
    if (value->on_heap()) value->Clear();
  }
  --frame_;
}

void Vm::Unwind(const Frame* entry, std::vector<std::string>* notes) {
  size_t calls = 0;
  while (frame_ >= entry) {
    const FunctionCode& code = *frame_->code;
    if (notes != nullptr && calls < kShownCalls) {
      notes->push_back(fmt::format(
          "at {}{}", sources_.Where(where()),
          code.is_top_level ? "" : fmt::format(" in {}", code.QuotedName())));
    }
    ++calls;
    ClearFrame();
  }
  if (notes != nullptr && calls > kShownCalls) {
    notes->push_back(fmt::format("and {} more calls", calls - kShownCalls));
  }
}

Value Vm::Run(const FunctionCode& code) {
  globals_.resize(program_.global_names.size(), Value::Unset());
  module_has_run_.resize(program_.modules.size(), false);
  Value* const base = frame_->base + frame_->code->registers;
  Push(code, base, base, nullptr, 0);
  return Execute();
}

Value Vm::RunModule(uint16_t module) {
  module_has_run_.resize(program_.modules.size(), false);
  if (module_has_run_[module]) return Value();
  module_has_run_[module] = true;
  return Run(*program_.modules[module].top_level);
}

const Value* Vm::FindGlobal(uint16_t slot) const {
  if (slot >= globals_.size() || globals_[slot].is_unset()) return nullptr;
  return &globals_[slot];
}

Value Vm::NewCell(Value value) {
  auto* cell = new CellObject(&cells_);
  cell->value = std::move(value);
  return Value::Adopt(cell);
}

Value Vm::MakeFunction(const FunctionCode& code) {
  auto* function = new FunctionObject(&code, code.unit);
  Value value = Value::Adopt(function);
  for (const Capture& capture : code.captures) {
    function->cells.push_back(capture.from_register
                                  ? frame_->base[capture.index]
                                  : frame_->function->cells[capture.index]);
  }
  return value;
}

void Vm::FreeOperands(Instruction i) {
  if ((i.flags & kFreeB) && i.b != i.a) frame_->base[i.b].Clear();
  if ((i.flags & kFreeC) && i.c != i.a) frame_->base[i.c].Clear();
}

void Vm::SlowBinary(BinaryOp op, Instruction i, const Value& right) {
  Value* const base = frame_->base;
  const Value& left = base[i.b];
  // `s += "x"` adds to the string itself where nobody else holds it.
  if (op == BinaryOp::kAdd && i.a == i.b && left.is_string() &&
      right.is_string() && &left != &right) {
    base[i.a].OwnString() += right.as_string();
  } else {
    base[i.a] = BinaryValue(tensors_, op, left, right, where());
  }
  FreeOperands(i);
}

bool Vm::SlowCompare(BinaryOp op, Instruction i, const Value& right) {
  Value* const base = frame_->base;
  const Value answer = BinaryValue(tensors_, op, base[i.a], right, where());
  if (i.flags & kFreeA) base[i.a].Clear();
  if (i.flags & kFreeB) base[i.b].Clear();
  return Truth(tensors_, answer);
}

bool Vm::TruthOf(Instruction i, Value& value) {
  const bool answer = Truth(tensors_, value);
  if (i.flags & kFreeA) value.Clear();
  return answer;
}

namespace {

// How many numbers begin, begin + step, ... lie before `end`.
int64_t CountBetween(int64_t begin, int64_t end, int64_t step, bool inclusive) {
  if (step == 0) Fail(ErrorKind::kProgram, "a range's step is 0");
  const __int128 distance = step > 0 ? static_cast<__int128>(end) - begin
                                     : static_cast<__int128>(begin) - end;
  const __int128 stride = step > 0 ? step : -static_cast<__int128>(step);
  const __int128 span = distance + (inclusive ? 1 : 0);
  if (span <= 0) return 0;
  const __int128 count = (span + stride - 1) / stride;
  if (count > INT64_MAX)
    Fail(ErrorKind::kProgram, "a range of {}..{} is too long", begin, end);
  return static_cast<int64_t>(count);
}

}  // namespace

Value MakeRangeValue(int64_t begin, int64_t end, int64_t step) {
  return Value::Range(begin, CountBetween(begin, end, step, false), step);
}

void Vm::PrepareCount(Value* registers, bool inclusive) {
  const int64_t begin =
      WholeNumber(tensors_, registers[0], "the beginning of a range");
  const int64_t end = WholeNumber(tensors_, registers[1], "the end of a range");
  const int64_t step =
      WholeNumber(tensors_, registers[2], "the step of a range");
  registers[0] = Value::Int(begin);
  registers[1] = Value::Int(CountBetween(begin, end, step, inclusive));
  registers[2] = Value::Int(step);
}

Value Vm::MakeRange(const Value& low, const Value& high, bool inclusive) {
  const int64_t begin = WholeNumber(tensors_, low, "the beginning of a range");
  const int64_t end = WholeNumber(tensors_, high, "the end of a range");
  return Value::Range(begin, CountBetween(begin, end, 1, inclusive), 1);
}

void Vm::PrepareEach(Value& sequence) {
  switch (sequence.tag()) {
    case Tag::kList:
    case Tag::kMap:
    case Tag::kRange:
    case Tag::kString:
      break;
    case Tag::kHandle:
      sequence = Value::List(sequence.as_handle().Items());
      break;
    case Tag::kTensor:
      if (AsTensor(sequence)->rank() > 0) break;
      [[fallthrough]];
    case Tag::kNone:
    case Tag::kUnset:
    case Tag::kBool:
    case Tag::kInt:
    case Tag::kFloat:
    case Tag::kBuiltin:
    case Tag::kFunction:
    case Tag::kCell:
      Fail(ErrorKind::kProgram,
           "'for' cannot walk over {}; it walks over ranges, lists, maps, "
           "strings, tensors and models",
           Describe(sequence));
  }
  (&sequence)[1] = Value::Int(0);
}

bool Vm::NextElement(Value* registers) {
  const Value& sequence = registers[0];
  const int64_t position = registers[1].as_int();
  const size_t at = static_cast<size_t>(position);
  int64_t next = position + 1;
  Value element;
  if (sequence.is_list()) {
    if (at >= sequence.as_list().size()) return false;
    element = sequence.as_list()[at];
  } else if (sequence.is_tensor()) {
    if (position >= AsTensor(sequence)->shape().dim(0)) return false;
    element = tensors_.Row(sequence, position, where());
  } else if (sequence.is_map()) {
    if (at >= sequence.as_map().size()) return false;
    element = sequence.as_map().entries()[at].key;
  } else if (sequence.is_range()) {
    const RangeObject& range = sequence.as_range();
    if (position >= range.count) return false;
    element = Value::Int(range.begin + position * range.step);
  } else {
    const std::string_view text = sequence.as_string();
    if (at >= text.size()) return false;
    const size_t bytes = FirstCharacter(text.substr(at)).bytes;
    element = Value::String(std::string(text.substr(at, bytes)));
    next = position + static_cast<int64_t>(bytes);
  }
  registers[1] = Value::Int(next);
  registers[2] = std::move(element);
  return true;
}

}  // namespace tl
