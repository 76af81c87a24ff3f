// Shapes and types of tensors, by the same rules that the run uses: a Lowering
// that only types (ops/lowering.h).
#include <fmt/format.h>

#include "base/error.h"
#include "lang/checker_rules.h"
#include "lang/type_names.h"

namespace tl {
namespace {

using Kind = StaticType::Kind;

class TypingLowering : public Lowering {
 public:
  TensorRef Number(double, DType dtype) override {
    return MakeRef<TensorValue>(TensorType{dtype, Shape()});
  }
  uint64_t NextSeed() override { return 0; }

 private:
  TensorRef Make(OpId op, std::span<const TensorRef> inputs,
                 Attributes attributes) override {
    std::vector<TensorType> types;
    for (const TensorRef& input : inputs) types.push_back(input->type());
    return MakeRef<TensorValue>(ResultType(op, types, attributes));
  }
};

// An int whose value is not known, but whose being an int is.
Argument SomeInt(Dim dim) {
  Argument argument;
  argument.kind = Argument::Kind::kInt;
  argument.dim = dim;
  return argument;
}

Argument ArgumentOf(const StaticType& value, TypeKind type) {
  bool tensor = type == TypeKind::kTensor;
  switch (value.kind) {
    case Kind::kNone:
      return Argument::None();
    case Kind::kBool:
      if (value.integer) return Argument::Bool(*value.integer != 0);
      return tensor ? Argument::Int(0) : Argument::Unknown();
    case Kind::kInt:
      return value.integer ? Argument::Int(*value.integer) : SomeInt(value.dim);
    case Kind::kFloat:
      if (value.real || tensor) return Argument::Float(value.real.value_or(0));
      return Argument::Unknown();
    case Kind::kString:
      return value.text ? Argument::Text(*value.text) : Argument::Unknown();
    case Kind::kTensor:
      return value.tensor ? Argument::Of(value.tensor) : Argument::Unknown();
    case Kind::kList: {
      if (tensor) {
        return value.tensor ? Argument::Of(value.tensor) : Argument::Unknown();
      }
      if (!value.elements) return Argument::Unknown();
      std::vector<Argument> list;
      for (const StaticType& element : *value.elements) {
        list.push_back(ArgumentOf(element, TypeKind::kAny));
      }
      return Argument::List(std::move(list));
    }
    case Kind::kCache:
      return Argument::Int(0);  // how much it holds is the run's to know
    case Kind::kUnknown:
    case Kind::kMap:
    case Kind::kRange:
    case Kind::kModel:
    case Kind::kTokenizer:
    case Kind::kFunction:
      break;
  }
  return Argument::Unknown();
}

Argument ArgumentOf(const DefaultValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) {
    return Argument::Bool(*flag);
  }
  if (const int64_t* integer = std::get_if<int64_t>(&value)) {
    return Argument::Int(*integer);
  }
  if (const double* real = std::get_if<double>(&value)) {
    return Argument::Float(*real);
  }
  if (const std::string* text = std::get_if<std::string>(&value)) {
    return Argument::Text(*text);
  }
  return Argument::None();
}

// A list given where a row says `any` may be sizes or a tensor: the function
// decides by what else it is given. Of several values, ints are sizes; and
// tensors with axes are tensors.
enum class ListPlace { kAlone, kAmongRest };

bool IsLooseList(const StaticType& value, ListPlace place) {
  if (!value.is(Kind::kList)) return false;
  if (place == ListPlace::kAlone || !value.elements) return true;
  bool ints = true;
  bool tensors = true;
  for (const StaticType& element : *value.elements) {
    ints = ints && element.is(Kind::kInt);
    tensors = tensors && element.is(Kind::kTensor) && element.tensor &&
              element.tensor->rank() > 0;
  }
  return !ints && !tensors;
}

}  // namespace

Lowering& Checker::Typing() {
  static TypingLowering typing;
  return typing;
}

StaticType Checker::Lowered(Span span, const std::function<StaticType()>& f,
                            const std::function<std::string()>& hint) {
  try {
    return f();
  } catch (const NotKnown&) {
    return {};
  } catch (const tl::Error& error) {
    Report(span, error.text(), hint ? hint() : "");
    return {};
  }
}

std::optional<TensorRef> Checker::AsTensor(const StaticType& value) {
  if (value.is(Kind::kTensor) || value.is(Kind::kList)) {
    if (value.tensor) return value.tensor;
    return std::nullopt;
  }
  if (value.is(Kind::kInt) || value.is(Kind::kBool)) {
    return Typing().Number(0, DType::I32);
  }
  if (value.is(Kind::kFloat)) return Typing().Number(0, DType::F32);
  return std::nullopt;
}

// `elements` has all of them, or one that stands for all.
StaticType Checker::ListType(std::vector<StaticType> elements, size_t count) {
  StaticType list = StaticType::Of(Kind::kList);
  bool ints = !elements.empty();
  bool numbers = !elements.empty();
  for (const StaticType& element : elements) {
    ints = ints && element.is(Kind::kInt);
    numbers = numbers && element.is_number();
  }
  Dim size(static_cast<int64_t>(count));
  if (numbers) {
    DType dtype = ints ? DType::I32 : DType::F16;
    list.tensor = MakeRef<TensorValue>(TensorType{dtype, Shape{size}});
  } else if (!elements.empty()) {
    StaticType common = elements[0];
    for (const StaticType& element : elements) common = Join(common, element);
    bool rows = common.is(Kind::kList) && common.tensor &&
                common.tensor->rank() < kMaxRank;
    if (rows) {
      Shape shape = common.tensor->shape();
      shape.Insert(0, size);
      list.tensor =
          MakeRef<TensorValue>(TensorType{common.tensor->dtype(), shape});
    }
  }
  if (elements.size() == count) {
    list.elements =
        std::make_shared<const std::vector<StaticType>>(std::move(elements));
  }
  return list;
}

StaticType Checker::CallTensorFunction(const FunctionInfo& function,
                                       const Signature& signature, Span span,
                                       const ArgumentBinding& binding,
                                       const std::vector<Arg>& args) {
  std::vector<Argument> arguments;
  std::vector<std::string_view> names;
  bool loose = false;   // a refusal may be no fault
  bool scalars = true;  // then the result may be a number
  for (size_t i = 0; i < signature.parameters.size(); ++i) {
    const SignatureParameter& parameter = signature.parameters[i];
    names.push_back(parameter.name);
    if (parameter.rest) {
      std::vector<Argument> rest;
      for (int at : binding.rest) {
        const StaticType& value = args[at].type;
        loose = loose || IsLooseList(value, ListPlace::kAmongRest);
        scalars = scalars && value.is_number();
        rest.push_back(ArgumentOf(value, TypeKind::kAny));
      }
      arguments.push_back(Argument::List(std::move(rest)));
    } else if (binding.arguments[i] == ArgumentBinding::kDefault) {
      arguments.push_back(ArgumentOf(parameter.default_value));
    } else {
      const StaticType& value = args[binding.arguments[i]].type;
      loose = loose || (parameter.type != TypeKind::kTensor &&
                        IsLooseList(value, ListPlace::kAlone));
      if (parameter.type == TypeKind::kTensor) {
        scalars = scalars && value.is_number();
      }
      arguments.push_back(ArgumentOf(value, parameter.type));
    }
  }
  bool takes_tensor = !signature.parameters.empty() &&
                      signature.parameters[0].type == TypeKind::kTensor;
  auto lower = [&]() -> StaticType {
    FunctionResult result =
        function.lower(Call(signature.name, names, arguments, Typing()));
    if (!result.is_list) {
      return scalars && takes_tensor ? StaticType()
                                     : StaticType::Tensor(result.tensors[0]);
    }
    std::vector<StaticType> parts;
    for (TensorRef& tensor : result.tensors) {
      parts.push_back(StaticType::Tensor(std::move(tensor)));
    }
    return StaticType::List(std::move(parts));
  };
  if (!loose) return Lowered(span, lower);
  try {
    return lower();
  } catch (const NotKnown&) {
  } catch (const tl::Error&) {
  }
  return {};
}

TensorRef Checker::DeclaredTensor(const TypeExpr& type, int dim_scope) {
  if (type.leading_any) return nullptr;
  std::function<Dim(const DimExpr&)> dim_of = [&](const DimExpr& dim) {
    switch (dim.kind) {
      case DimKind::kNumber:
        return Dim(dim.value);
      case DimKind::kName:
        return Dim::Named(dim.name, dim_scope);
      case DimKind::kAny:
        return Dim::Unknown();
      case DimKind::kSum:
      case DimKind::kProduct:
        break;
    }
    Dim total = dim_of(dim.parts[0]);
    for (size_t i = 1; i < dim.parts.size(); ++i) {
      Dim part = dim_of(dim.parts[i]);
      total = dim.kind == DimKind::kSum ? total + part : total * part;
    }
    return total;
  };
  Shape shape;
  for (const DimExpr& dim : type.dims) shape.Append(dim_of(dim));
  return MakeRef<TensorValue>(TensorType{StorageOf(type.element), shape});
}

// A tensor where a type stands, inside the function whose type it is.
void Checker::CheckFits(const StaticType& value, const TypeExpr& type,
                        int dim_scope, std::string_view what, Span span) {
  if (!value.is(Kind::kTensor) || !value.tensor ||
      type.kind != TypeKind::kElementTensor || type.leading_any) {
    return;
  }
  const Shape& shape = value.tensor->shape();
  TensorRef declared;
  try {
    declared = DeclaredTensor(type, dim_scope);
  } catch (const tl::Error&) {  // reported where the type stands
    return;
  }
  const Shape& expected = declared->shape();
  bool fits = shape.rank() == expected.rank() &&
              (shape.rank() == 0 || value.tensor->dtype() == declared->dtype());
  for (int axis = 0; fits && axis < shape.rank(); ++axis) {
    fits = !Clash(shape[axis], expected[axis]);
  }
  if (fits) return;
  Report(span, fmt::format("{} is {}; expected {}", what, value.ToString(),
                           ToString(type)));
}

}  // namespace tl
