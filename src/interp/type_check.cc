#include "interp/type_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "interp/operators.h"
#include "lang/type_names.h"

namespace tl {
namespace {

DType DTypeOf(ElementType element) {
  switch (element) {
    case ElementType::kFloat16:
      return DType::F16;
    case ElementType::kFloat32:
      return DType::F32;
    case ElementType::kInt32:
      return DType::I32;
  }
  return DType::F16;
}

class TypeChecker {
 public:
  // `of` is null for a declaration.
  TypeChecker(Tensors& tensors, const TypeCheck& check, Value* base,
        const FunctionCode* of, Span where)
      : tensors_(tensors), check_(check), base_(base), of_(of), where_(where) {}

  void Scalar(Value& value);
  void Tensor(Value& value);
  void Declared(Value& value);

 private:
  void RequireWhole(const Value& list);
  std::string Of() const;  // "f: ", or nothing
  Value* FindDim(const std::string& name);
  // A size, or -1 where nothing says it: for `?`, and to bind a name.
  int64_t SizeOf(const DimExpr& dim);
  bool FitsDim(const DimExpr& dim, int64_t size);
  bool FitsShape(const Shape& shape);
  std::vector<int64_t> DeclaredShape();
  bool FitsKind(const Value& value) const;
  [[noreturn]] void FailType(const Value& value);
  std::string KnownDims();

  Tensors& tensors_;
  const TypeCheck& check_;
  Value* base_;
  const FunctionCode* of_;
  Span where_;
};

Value* TypeChecker::FindDim(const std::string& name) {
  for (const DimName& dim : check_.dims) {
    if (dim.name != name) continue;
    Value& held = base_[dim.in_register];
    return held.tag() == Tag::kCell ? &held.as_cell().value : &held;
  }
  return nullptr;
}

int64_t TypeChecker::SizeOf(const DimExpr& dim) {
  switch (dim.kind) {
    case DimKind::kNumber:
      return dim.value;
    case DimKind::kAny:
      return -1;
    case DimKind::kName: {
      const Value* bound = FindDim(dim.name);
      if (bound == nullptr || bound->is_unset()) return -1;
      return WholeNumber(tensors_, *bound, fmt::format("'{}'", dim.name));
    }
    case DimKind::kSum:
    case DimKind::kProduct: {
      const bool sum = dim.kind == DimKind::kSum;
      int64_t total = sum ? 0 : 1;
      for (const DimExpr& part : dim.parts) {
        const int64_t size = SizeOf(part);
        if (size < 0) {
          Fail(ErrorKind::kProgram,
               "the '{}' of '{}' has no value yet; a name is bound by a "
               "parameter further left",
               ToString(part), ToString(check_.type));
        }
        if (sum ? __builtin_add_overflow(total, size, &total)
                : __builtin_mul_overflow(total, size, &total)) {
          Fail(ErrorKind::kProgram, "'{}' does not fit an int", ToString(dim));
        }
      }
      return total;
    }
  }
  return -1;
}

bool TypeChecker::FitsDim(const DimExpr& dim, int64_t size) {
  const int64_t wanted = SizeOf(dim);
  if (wanted >= 0) return wanted == size;
  if (dim.kind == DimKind::kName) {
    if (Value* unbound = FindDim(dim.name)) *unbound = Value::Int(size);
  }
  return true;
}

bool TypeChecker::FitsShape(const Shape& shape) {
  const std::vector<DimExpr>& dims = check_.type.dims;
  const int count = static_cast<int>(dims.size());
  const int leading = shape.rank() - count;
  if (check_.type.leading_any ? leading < 0 : leading != 0) return false;
  for (int i = 0; i < count; ++i) {
    if (!FitsDim(dims[i], shape.dim(leading + i))) return false;
  }
  return true;
}

std::string TypeChecker::KnownDims() {
  std::string known;
  for (const DimName& dim : check_.dims) {
    const Value* value = FindDim(dim.name);
    if (value == nullptr || !value->is_int()) continue;
    std::vector<std::string> used;
    for (const DimExpr& part : check_.type.dims) AddDimNames(part, used);
    if (std::find(used.begin(), used.end(), dim.name) == used.end()) continue;
    known += fmt::format("{}{} = {}", known.empty() ? " with " : ", ", dim.name,
                         value->as_int());
  }
  return known;
}

std::string TypeChecker::Of() const {
  const std::string name = of_ ? of_->ShownName() : "";
  return name.empty() ? "" : name + ": ";
}

void TypeChecker::FailType(const Value& value) {
  const std::string expected = ToString(check_.type);
  Fail(ErrorKind::kProgram, "{}{} is {}; expected {}{}", Of(), check_.what,
       Describe(value), expected, KnownDims());
}

bool TypeChecker::FitsKind(const Value& value) const {
  switch (check_.type.kind) {
    case TypeKind::kAny:
    case TypeKind::kVoid:
      return true;
    case TypeKind::kString:
      return value.is_string();
    case TypeKind::kList:
      return value.is_list();
    case TypeKind::kMap:
      return value.is_map() ||
             (value.is_handle() && value.as_handle().type() == TypeKind::kMap);
    case TypeKind::kFunction:
      return value.is_callable();
    case TypeKind::kModel:
    case TypeKind::kCache:
    case TypeKind::kTokenizer:
      return value.is_handle() && value.as_handle().type() == check_.type.kind;
    case TypeKind::kBool:
      return value.is_bool();
    case TypeKind::kInt:
      return value.is_int();
    case TypeKind::kFloat:
      return value.is_float();
    case TypeKind::kTensor:
    case TypeKind::kElementTensor:
      return value.is_tensor() || value.is_number() || value.is_list();
  }
  return false;
}

bool IsOneElement(const Value& value) {
  return value.is_tensor() && AsTensor(value)->shape().size() == 1;
}

void TypeChecker::Scalar(Value& value) {
  if (FitsKind(value)) return;
  const TypeKind kind = check_.type.kind;
  if (kind == TypeKind::kFloat) {
    if (value.is_int()) {
      value = Value::Float(value.as_number());
      return;
    }
    // Stays a tensor: its number is read only when the program needs it.
    if (IsOneElement(value)) return;
  }
  if (kind == TypeKind::kInt && (value.is_float() || IsOneElement(value))) {
    value = Value::Int(WholeNumber(tensors_, value, Of() + check_.what));
    return;
  }
  if (kind == TypeKind::kBool && IsOneElement(value)) {
    value = Value::Bool(Truth(tensors_, value));
    return;
  }
  FailType(value);
}

// A list for int32 holds whole numbers; cutting others is to be asked for.
void TypeChecker::RequireWhole(const Value& list) {
  if (check_.type.element != ElementType::kInt32) return;
  for (const Value& item : list.as_list()) {
    if (item.is_list()) RequireWhole(item);
    if (!item.is_float() || item.as_float() == std::trunc(item.as_float())) {
      continue;
    }
    Fail(ErrorKind::kProgram,
         "{}{} holds {}, which is no whole number; expected {}; "
         "to(x, int32) cuts toward zero",
         Of(), check_.what, item.as_float(), ToString(check_.type));
  }
}

void TypeChecker::Tensor(Value& value) {
  if (!FitsKind(value)) FailType(value);
  if (check_.type.kind == TypeKind::kTensor) {
    if (value.is_list()) value = tensors_.Convert(value, where_);
    return;
  }
  if (value.is_list()) {
    RequireWhole(value);
    value = tensors_.Make(value, check_.type.element, where_);
  }
  if (value.is_number()) {
    if (!FitsShape(Shape())) FailType(value);
    return;
  }
  const TensorValue& tensor = *AsTensor(value);
  // A tensor of rank 0 is a number, whatever its type.
  const bool type_fits =
      tensor.rank() == 0 || tensor.dtype() == DTypeOf(check_.type.element);
  if (!type_fits || !FitsShape(tensor.shape())) FailType(value);
}

std::vector<int64_t> TypeChecker::DeclaredShape() {
  std::vector<int64_t> shape;
  for (const DimExpr& dim : check_.type.dims) {
    const int64_t size = SizeOf(dim);
    if (size < 0) {
      Fail(ErrorKind::kProgram,
           "the shape of {} is not known: '{}' has no value", check_.what,
           ToString(dim));
    }
    shape.push_back(size);
  }
  return shape;
}

void TypeChecker::Declared(Value& value) {
  const ElementType element = check_.type.element;
  if (value.is_none()) {
    value = tensors_.Zeros(DeclaredShape(), element, where_);
    return;
  }
  if (!FitsKind(value)) FailType(value);
  if (value.is_list()) RequireWhole(value);
  const Value made =
      value.is_list() ? tensors_.Make(value, element, where_) : value;
  const bool scalar = made.is_number() || AsTensor(made)->rank() == 0;
  if (!scalar && AsTensor(made)->dtype() == DTypeOf(element) &&
      FitsShape(AsTensor(made)->shape())) {
    value = made;
    return;
  }
  const bool flat = value.is_list() && AsTensor(made)->rank() == 1;
  if (!scalar && !flat) FailType(made);
  const std::vector<int64_t> shape = DeclaredShape();
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  if (flat && AsTensor(made)->shape().dim(0) != count) FailType(made);
  value = tensors_.Fill(made, shape, element, where_);
}

}  // namespace

void CheckType(Tensors& tensors, Value& value, const TypeCheck& check,
               Value* base, const FunctionCode& of, Span where) {
  TypeChecker checker(tensors, check, base, &of, where);
  const TypeKind kind = check.type.kind;
  if (kind == TypeKind::kElementTensor || kind == TypeKind::kTensor) {
    checker.Tensor(value);
  } else {
    checker.Scalar(value);
  }
}

void CheckDeclaredTensor(Tensors& tensors, Value& value, const TypeCheck& check,
                         Value* base, Span where) {
  TypeChecker(tensors, check, base, nullptr, where).Declared(value);
}

}  // namespace tl
