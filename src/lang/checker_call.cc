// Calls: whose function it is, whether the arguments fit, what comes back.
#include <fmt/format.h>

#include "base/error.h"
#include "lang/checker_rules.h"
#include "lang/type_names.h"

namespace tl {
namespace {

using Kind = StaticType::Kind;

bool HasValue(const Dim& dim) { return !dim.unknown(); }

// " with D = 3, N = 4": what the names in the type already stand for.
std::string KnownDims(const TypeExpr& type,
                      const std::map<std::string, Dim>& dims) {
  std::string known;
  std::function<void(const DimExpr&)> add = [&](const DimExpr& dim) {
    for (const DimExpr& part : dim.parts) add(part);
    auto bound = dims.find(dim.name);
    if (dim.kind != DimKind::kName || bound == dims.end()) return;
    if (!HasValue(bound->second)) return;
    std::string fact =
        fmt::format("{} = {}", dim.name, bound->second.ToString());
    if (known.find(fact) != std::string::npos) return;
    known += (known.empty() ? " with " : ", ") + fact;
  };
  for (const DimExpr& dim : type.dims) add(dim);
  return known;
}

}  // namespace

StaticType Checker::CheckCall(const CallExpr& call) {
  if (const auto* name = FindAs<NameExpr>(*call.callee)) {
    return CallNamed(name->name, name->span, call.span,
                     CheckArguments(call.arguments));
  }
  if (const auto* path = FindAs<PathExpr>(*call.callee)) {
    return CheckPath(call, *path);
  }
  if (const auto* member = FindAs<MemberExpr>(*call.callee)) {
    return CheckMethod(call, *member);
  }
  StaticType callee = Check(*call.callee);
  std::vector<Arg> args = CheckArguments(call.arguments);
  if (callee.function) return CallFunction(*callee.function, call.span, args);
  if (callee.known() && !callee.is(Kind::kFunction)) {
    Report(call.callee->span, fmt::format("{} cannot be called; expected a "
                                          "function",
                                          callee.ToString()));
  }
  return {};
}

std::vector<Checker::Arg> Checker::CheckArguments(
    const std::vector<CallArgument>& arguments) {
  std::vector<Arg> args;
  for (const CallArgument& argument : arguments) {
    args.push_back(
        {argument.name, argument.value->span, Check(*argument.value)});
  }
  return args;
}

// A variable that cannot be called does not hide a function.
StaticType Checker::CallNamed(std::string_view name, Span name_span, Span span,
                              std::vector<Arg> args) {
  const FunctionDecl* function = FindProgramFunction(name);
  std::optional<BuiltinId> builtin = FindBuiltinId(name);
  const FunctionInfo* tensor_function = FindFunction(name);
  if (const Variable* variable = FindVariable(name)) {
    StaticType type = TypeOf(*variable);
    if (type.function) return CallFunction(*type.function, span, args);
    if (!type.known() || type.is(Kind::kFunction)) return {};
    if (!function && !builtin && !tensor_function) {
      Report(name_span, fmt::format("'{}' is {}; expected a function", name,
                                    type.ToString()));
      return {};
    }
  } else if (!function && IsLaterGlobal(name)) {
    return {};
  }
  if (function) return CallFunction(*function, span, args);
  if (builtin) return CallBuiltin(*builtin, span, args);
  if (!tensor_function) {
    ReportUnknown(name_span, "function", name);
    return {};
  }
  const Signature& signature = *FindFunctionSignature(name);
  std::optional<ArgumentBinding> binding = BindArguments(signature, span, args);
  if (!binding || !CheckKinds(signature, *binding, args)) return {};
  return CallTensorFunction(*tensor_function, signature, span, *binding, args);
}

// `f16::zeros(...)` is zeros(..., dtype: float16); `IntVec::new()` a built-in.
StaticType Checker::CheckPath(const CallExpr& call, const PathExpr& path) {
  std::vector<Arg> args = CheckArguments(call.arguments);
  std::string whole = path.scope + "::" + path.name;
  std::optional<ElementType> element = FindElement(path.scope);
  if (element && FindSignature(path.name)) {
    args.push_back(
        {"dtype", path.span, StaticType::Text(std::string(NameOf(*element)))});
    return CallNamed(path.name, path.span, call.span, std::move(args));
  }
  if (std::optional<BuiltinId> builtin = FindBuiltinId(whole)) {
    return CallBuiltin(*builtin, call.span, args);
  }
  std::string nearest =
      NearestName(element ? path.name : whole, BuiltinNames());
  Report(path.span, fmt::format("unknown function '{}'", whole),
         nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest));
  return {};
}

StaticType Checker::CheckTypedTensor(const TensorExpr& tensor) {
  std::vector<Arg> args = CheckArguments(tensor.arguments);
  args.push_back({"dtype", tensor.span,
                  StaticType::Text(std::string(NameOf(tensor.element)))});
  return CallBuiltin(*FindBuiltinId("tensor"), tensor.span, args);
}

// `x.f(a)`: a member of x, or else the function f with x as first argument.
StaticType Checker::CheckMethod(const CallExpr& call,
                                const MemberExpr& method) {
  StaticType object = Check(*method.object);
  std::vector<Arg> args = CheckArguments(call.arguments);
  const std::string& name = method.name;
  bool own_function = FindProgramFunction(name) != nullptr;
  if (!own_function && object.is(Kind::kTensor) &&
      FindMember(MemberOwner::kTensor, name)) {
    return MemberOf(object, method);
  }
  bool container = object.is(Kind::kList) || object.is(Kind::kMap);
  bool listed = FindMember(MemberOwner::kList, name) ||
                FindMember(MemberOwner::kMap, name) || name == "remove";
  if (!own_function && listed && (container || !object.known())) {
    NoteModelChange(name == "remove" ? object : StaticType::Of(Kind::kList),
                    nullptr);
    ForgetFacts(*method.object);
    const MemberInfo* info = FindMember(MemberOwner::kList, name);
    return info && info->result == TypeKind::kBool ? StaticType::Bool()
                                                   : StaticType();
  }
  if (!own_function && object.is(Kind::kModel)) {
    if (name == "remove") NoteModelChange(object, nullptr);
    bool tensor = name == "get_tensor" && !args.empty() && args[0].type.text;
    if (tensor) {
      return ModelTensor(object, *args[0].type.text, args[0].span,
                         args.size() > 1 ? Absence::kNone : Absence::kFault);
    }
    if (FindMember(MemberOwner::kModel, name) || !FindSignature(name)) {
      return {};
    }
  }
  bool open = !object.known() || object.is(Kind::kMap) ||
              object.is(Kind::kTokenizer) || object.is(Kind::kCache);
  bool known = own_function || FindSignature(name) || FindVariable(name) ||
               IsLaterGlobal(name);
  if (open) return {};  // it may have a member of that name
  if (!known) {
    std::string nearest = NearestName(name, BuiltinNames());
    Report(method.name_span,
           fmt::format("{} has no method '{}'", object.ToString(), name),
           nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest));
    return {};
  }
  args.insert(args.begin(), Arg{"", method.object->span, std::move(object)});
  return CallNamed(name, method.name_span, call.span, std::move(args));
}

// --- Arguments ---------------------------------------------------------------

std::optional<ArgumentBinding> Checker::BindArguments(
    const Signature& signature, Span span, const std::vector<Arg>& args) {
  std::vector<std::string_view> names;
  for (const Arg& arg : args) names.push_back(arg.name);
  ArgumentBinding binding = Bind(signature, names);
  if (binding.fits()) return binding;
  bool at_argument = binding.faulty_argument != Signature::npos;
  Report(at_argument ? args[binding.faulty_argument].span : span, binding.fault,
         binding.hint);
  return std::nullopt;
}

bool Checker::CheckKinds(const Signature& signature,
                         const ArgumentBinding& binding,
                         const std::vector<Arg>& args) {
  bool fit = true;
  for (size_t i = 0; i < signature.parameters.size(); ++i) {
    const SignatureParameter& parameter = signature.parameters[i];
    if (binding.arguments[i] == ArgumentBinding::kDefault) continue;
    const Arg& arg = args[binding.arguments[i]];
    bool may_be_none =
        parameter.optional &&
        std::holds_alternative<std::monostate>(parameter.default_value);
    if (arg.type.is(Kind::kNone) && may_be_none) continue;
    if (MayBe(arg.type, parameter.type)) continue;
    Report(arg.span, fmt::format("{}: '{}' is {}; expected {}", signature.name,
                                 parameter.name, arg.type.ToString(),
                                 Described(parameter.type)));
    fit = false;
  }
  return fit;
}

// --- Functions of the program ------------------------------------------------

StaticType Checker::CallFunction(const FunctionDecl& function, Span span,
                                 const std::vector<Arg>& args) {
  Signature signature = SignatureOf(function);
  std::optional<ArgumentBinding> binding = BindArguments(signature, span, args);
  if (!binding || !CheckKinds(signature, *binding, args)) {
    return ResultOf(function, {});
  }
  DimBinding dims;
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    if (binding->arguments[i] == ArgumentBinding::kDefault) continue;
    const Arg& arg = args[binding->arguments[i]];
    if (arg.type.is(Kind::kInt)) {
      dims[function.parameters[i].name] = arg.type.AsDim();
    }
  }
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    if (binding->arguments[i] == ArgumentBinding::kDefault) continue;
    BindDims(function, function.parameters[i], args[binding->arguments[i]],
             dims);
  }
  return ResultOf(function, dims);
}

// Names take the size they meet first, and must fit where they stand again.
void Checker::BindDims(const FunctionDecl& function, const ParamDecl& parameter,
                       const Arg& arg, DimBinding& dims) {
  const TypeExpr& type = parameter.type;
  if (type.kind != TypeKind::kElementTensor) return;
  std::optional<TensorRef> tensor = AsTensor(arg.type);
  if (!tensor) return;
  const Shape& shape = (*tensor)->shape();
  // A list is made into a tensor of the type that is wanted.
  bool element = shape.rank() == 0 || arg.type.is(Kind::kList) ||
                 LanguageName((*tensor)->dtype()) == NameOf(type.element);
  int count = static_cast<int>(type.dims.size());
  int leading = shape.rank() - count;
  bool fits = type.leading_any ? leading >= 0 : leading == 0;
  fits = fits && element;
  for (int i = 0; fits && i < count; ++i) {
    const DimExpr& dim = type.dims[i];
    Dim given = shape[leading + i];
    std::optional<Dim> expected = DimOf(dim, dims);
    if (expected && HasValue(*expected)) {
      fits = !Clash(*expected, given);
    } else if (dim.kind == DimKind::kName) {
      dims[dim.name] = given;
    }
  }
  if (fits) return;
  std::string name = function.name.empty() ? "fn" : function.name;
  std::string hint;
  if (shape.rank() == 2 && count == 2 && element) {
    std::optional<Dim> rows = DimOf(type.dims[0], dims);
    std::optional<Dim> columns = DimOf(type.dims[1], dims);
    bool turned = rows && columns && HasValue(*rows) && HasValue(*columns) &&
                  Same(*rows, shape[1]) && Same(*columns, shape[0]);
    if (turned) hint = "the transpose would fit: '.T'";
  }
  std::string given = arg.type.ToString();
  if (arg.type.is(Kind::kList)) {
    given = fmt::format("{}{}", NameOf(type.element), shape.ToString());
  }
  Report(arg.span,
         fmt::format("{}: '{}' is {}; expected {}{}", name, parameter.name,
                     given, ToString(type), KnownDims(type, dims)),
         hint);
}

// Nothing where a name in it is not bound.
std::optional<Dim> Checker::DimOf(const DimExpr& dim,
                                  const DimBinding& dims) const {
  switch (dim.kind) {
    case DimKind::kNumber:
      return Dim(dim.value);
    case DimKind::kAny:
      return Dim::Unknown();
    case DimKind::kName: {
      auto bound = dims.find(dim.name);
      if (bound == dims.end()) return std::nullopt;
      return bound->second;
    }
    case DimKind::kSum:
    case DimKind::kProduct:
      break;
  }
  std::optional<Dim> total = DimOf(dim.parts[0], dims);
  for (size_t i = 1; total && i < dim.parts.size(); ++i) {
    std::optional<Dim> part = DimOf(dim.parts[i], dims);
    if (!part) return std::nullopt;
    try {
      total = dim.kind == DimKind::kSum ? *total + *part : *total * *part;
    } catch (const tl::Error&) {  // over 2^62: the run says so
      return Dim::Unknown();
    }
  }
  return total;
}

StaticType Checker::ResultOf(const FunctionDecl& function,
                             const DimBinding& dims) {
  const TypeExpr& type = function.result;
  // Of `Tensor`: a number is one, too.
  if (type.kind == TypeKind::kTensor) return {};
  if (type.kind != TypeKind::kElementTensor || type.leading_any ||
      type.dims.size() > kMaxRank) {
    return OfType(type.kind);
  }
  Shape shape;
  for (const DimExpr& dim : type.dims) {
    shape.Append(DimOf(dim, dims).value_or(Dim::Unknown()));
  }
  return StaticType::Tensor(
      MakeRef<TensorValue>(TensorType{StorageOf(type.element), shape}));
}

}  // namespace tl
