// Expressions other than operators and calls.
#include <fmt/format.h>

#include <limits>

#include "lang/checker_rules.h"
#include "lang/type_names.h"
#include "ops/indexing.h"

namespace tl {
namespace {

using Kind = StaticType::Kind;

// Lists longer than this are data: their elements are not kept one by one.
constexpr size_t kMaxKnownElements = 32;

std::optional<int64_t> IntOf(const StaticType& type) {
  return type.is(Kind::kInt) ? type.integer : std::nullopt;
}

// Whether a tensor certainly has more than one element.
bool HasManyElements(const StaticType& type) {
  if (!type.is(Kind::kTensor) || !type.tensor) return false;
  bool many = false;
  for (Dim dim : type.tensor->shape()) {
    if (!dim.known() || dim.value() == 0) return false;
    many = many || dim.value() > 1;
  }
  return many;
}

}  // namespace

StaticType Checker::Check(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNone:
      return StaticType::Of(Kind::kNone);
    case ExprKind::kBool:
      return StaticType::Bool(As<BoolExpr>(expr).value);
    case ExprKind::kInt:
      return StaticType::Int(As<IntExpr>(expr).value);
    case ExprKind::kFloat:
      return StaticType::Float(As<FloatExpr>(expr).value);
    case ExprKind::kString:
      return StaticType::Text(As<StringExpr>(expr).value);
    case ExprKind::kName:
      return CheckName(As<NameExpr>(expr));
    case ExprKind::kPath:
      Report(expr.span,
             fmt::format("'{}::{}' can only be called",
                         As<PathExpr>(expr).scope, As<PathExpr>(expr).name));
      return {};
    case ExprKind::kList:
      return CheckList(As<ListExpr>(expr));
    case ExprKind::kMap:
      return CheckMap(As<MapExpr>(expr));
    case ExprKind::kUnary:
      return CheckUnary(As<UnaryExpr>(expr));
    case ExprKind::kBinary:
      return CheckBinary(As<BinaryExpr>(expr));
    case ExprKind::kLogical:
      Check(*As<LogicalExpr>(expr).left);
      Check(*As<LogicalExpr>(expr).right);
      return {};
    case ExprKind::kRange:
      Check(*As<RangeExpr>(expr).low);
      Check(*As<RangeExpr>(expr).high);
      return StaticType::Of(Kind::kRange);
    case ExprKind::kCast:
      return CheckCast(As<CastExpr>(expr));
    case ExprKind::kCall:
      return CheckCall(As<CallExpr>(expr));
    case ExprKind::kTensor:
      return CheckTypedTensor(As<TensorExpr>(expr));
    case ExprKind::kMember:
      return CheckMember(As<MemberExpr>(expr));
    case ExprKind::kIndex:
      return CheckIndex(As<IndexExpr>(expr));
    case ExprKind::kFunction:
      return CheckFunctionExpr(As<FunctionExpr>(expr));
    case ExprKind::kIf:
      return CheckIf(As<IfExpr>(expr), BlockUse::kValue);
    case ExprKind::kMatch:
      return CheckMatch(As<MatchExpr>(expr), BlockUse::kValue);
  }
  return {};
}

StaticType Checker::CheckName(const NameExpr& name) {
  if (const Variable* variable = FindVariable(name.name)) {
    return TypeOf(*variable);
  }
  if (const FunctionDecl* function = FindProgramFunction(name.name)) {
    StaticType type = StaticType::Of(Kind::kFunction);
    type.function = function;
    return type;
  }
  if (IsLaterGlobal(name.name)) return {};
  if (const ConstantInfo* constant = FindConstant(name.name)) {
    return StaticType::Text(std::string(constant->value));
  }
  if (FindSignature(name.name)) return StaticType::Of(Kind::kFunction);
  ReportUnknown(name.span, "name", name.name);
  return {};
}

StaticType Checker::CheckFunctionExpr(const FunctionExpr& expr) {
  CheckFunction(expr.function, Naming::kLocal);
  StaticType type = StaticType::Of(Kind::kFunction);
  type.function = &expr.function;
  return type;
}

// Elements are looked at in order; of a long list only what they have in
// common is kept.
StaticType Checker::CheckList(const ListExpr& list) {
  std::vector<StaticType> elements;
  StaticType common;
  for (size_t i = 0; i < list.elements.size(); ++i) {
    StaticType element = Check(*list.elements[i]);
    common = i == 0 ? element : Join(common, element);
    if (list.elements.size() <= kMaxKnownElements) {
      elements.push_back(std::move(element));
    }
  }
  if (elements.empty() && !list.elements.empty()) elements = {common};
  return ListType(std::move(elements), list.elements.size());
}

StaticType Checker::CheckMap(const MapExpr& map) {
  for (const MapEntryExpr& entry : map.entries) {
    Check(*entry.key);
    Check(*entry.value);
  }
  return StaticType::Of(Kind::kMap);
}

StaticType Checker::CheckIf(const IfExpr& node, BlockUse use) {
  ChangeCounts changed;
  CountChanges(node, changed);
  std::vector<std::function<StaticType()>> run;
  // A condition is looked at before its own branch; the first one always runs.
  for (const IfBranch& branch : node.branches) {
    run.push_back([this, &branch, use] {
      StaticType condition = Check(*branch.condition);
      if (HasManyElements(condition)) {
        Report(branch.condition->span,
               fmt::format("a tensor of shape {} is neither true nor false",
                           condition.tensor->shape().ToString()),
               "'any(x)' or 'all(x)' makes one truth of many");
      }
      return CheckBlock(branch.body, use);
    });
  }
  if (node.otherwise) {
    run.push_back(
        [this, &node, use] { return CheckBlock(*node.otherwise, use); });
  }
  return CheckBranches(
      run, changed,
      node.otherwise ? Coverage::kAllCases : Coverage::kSomeCases);
}

StaticType Checker::CheckMatch(const MatchExpr& node, BlockUse use) {
  StaticType subject = Check(*node.subject);
  ChangeCounts changed;
  CountChanges(node, changed);
  std::vector<std::function<StaticType()>> run;
  bool all_cases = false;
  for (const MatchArm& arm : node.arms) {
    const MatchPattern& first = arm.patterns[0];
    all_cases =
        all_cases || (first.kind != PatternKind::kLiteral && !arm.guard);
    run.push_back([this, &arm, &first, &subject, use] {
      size_t before = OpenScope();
      if (first.kind == PatternKind::kBinding) Declare(first.name, subject);
      if (arm.guard) Check(*arm.guard);
      StaticType value = CheckBlock(arm.body, use);
      CloseScope(before);
      return value;
    });
  }
  return CheckBranches(run, changed,
                       all_cases ? Coverage::kAllCases : Coverage::kSomeCases);
}

StaticType Checker::CheckCast(const CastExpr& cast) {
  StaticType operand = Check(*cast.operand);
  switch (cast.type.kind) {
    case TypeKind::kInt:
      if (IntOf(operand)) return operand;
      return StaticType::Int(operand.is(Kind::kInt) ? operand.dim
                                                    : Dim::Unknown());
    case TypeKind::kFloat:
      return StaticType::Float();
    case TypeKind::kBool:
      return StaticType::Bool();
    case TypeKind::kString:
      return StaticType::Of(Kind::kString);
    case TypeKind::kAny:
    case TypeKind::kElementTensor:
    case TypeKind::kTensor:
    case TypeKind::kList:
    case TypeKind::kMap:
    case TypeKind::kModel:
    case TypeKind::kCache:
    case TypeKind::kTokenizer:
    case TypeKind::kFunction:
    case TypeKind::kVoid:
      break;
  }
  return {};
}

// --- Members -----------------------------------------------------------------

StaticType Checker::CheckMember(const MemberExpr& member) {
  return MemberOf(Check(*member.object), member);
}

StaticType Checker::MemberOf(const StaticType& object,
                             const MemberExpr& member) {
  if (object.is(Kind::kModel)) return ModelMember(object, member);
  if (object.is(Kind::kTensor)) return TensorMember(object, member);
  bool has_own = object.is(Kind::kMap) || object.is(Kind::kList) ||
                 object.is(Kind::kCache);
  if (!object.known() || has_own) return {};
  if (object.is(Kind::kTokenizer)) {
    const MemberInfo* info = FindMember(MemberOwner::kTokenizer, member.name);
    if (info && info->result == TypeKind::kInt) {
      return StaticType::Int(Dim::Unknown());
    }
    if (info) return {};
  }
  if (FindSignature(member.name) || FindProgramFunction(member.name)) return {};
  Report(member.name_span,
         fmt::format("{} has no member '{}'", object.ToString(), member.name));
  return {};
}

StaticType Checker::TensorMember(const StaticType& object,
                                 const MemberExpr& member) {
  const MemberInfo* info = FindMember(MemberOwner::kTensor, member.name);
  if (!info) {
    if (FindProgramFunction(member.name)) return {};
    std::vector<std::string_view> names;
    for (const MemberInfo& row : Members()) {
      if (row.owner == MemberOwner::kTensor) names.push_back(row.name);
    }
    std::string hint;
    std::string nearest = NearestName(member.name, names);
    if (!nearest.empty()) hint = fmt::format("did you mean '{}'?", nearest);
    if (FindSignature(member.name)) {
      hint = fmt::format("it is a function: write '.{}()'", member.name);
    }
    Report(member.name_span,
           fmt::format("a tensor has no member '{}'", member.name), hint);
    return {};
  }
  const TensorRef& tensor = object.tensor;
  if (!tensor) {
    if (member.name == "T") return StaticType::Tensor(nullptr);
    return info->result == TypeKind::kInt ? StaticType::Int(Dim::Unknown())
                                          : StaticType();
  }
  if (member.name == "rank") return StaticType::Int(int64_t{tensor->rank()});
  if (member.name == "shape") {
    std::vector<StaticType> sizes;
    for (Dim dim : tensor->shape()) sizes.push_back(StaticType::Int(dim));
    return StaticType::List(std::move(sizes));
  }
  if (member.name == "T") {
    if (tensor->rank() == 2) {
      Shape turned{tensor->shape()[1], tensor->shape()[0]};
      return StaticType::Tensor(
          MakeRef<TensorValue>(TensorType{tensor->dtype(), turned}));
    }
    Report(member.name_span,
           fmt::format("'.T' of a tensor of shape {}; expected rank 2",
                       tensor->shape().ToString()),
           "'transpose(x)' exchanges the last two axes");
    return StaticType::Tensor(nullptr);
  }
  if (info->result == TypeKind::kInt) return StaticType::Int(Dim::Unknown());
  return StaticType::Of(Kind::kString);
}

// --- Subscripts --------------------------------------------------------------

StaticType Checker::CheckIndex(const IndexExpr& index) {
  StaticType object = Check(*index.object);
  if (object.is(Kind::kTensor) && object.tensor) {
    return IndexTensor(object, index);
  }
  StaticType first;
  bool one = index.subscripts.size() == 1 && index.subscripts[0].index;
  for (const Subscript& subscript : index.subscripts) {
    if (subscript.begin) Check(*subscript.begin);
    if (subscript.end) Check(*subscript.end);
    if (subscript.step) Check(*subscript.step);
    if (object.is(Kind::kModel) && one) {
      return ModelIndex(object, *subscript.index);
    }
    if (subscript.index) first = Check(*subscript.index);
  }
  if (object.is(Kind::kString)) return StaticType::Of(Kind::kString);
  if (object.is(Kind::kTensor)) return StaticType::Tensor(nullptr);
  if (one && object.is(Kind::kList) && object.elements && IntOf(first)) {
    int64_t size = static_cast<int64_t>(object.elements->size());
    int64_t at = *IntOf(first);
    if (at < 0) at += size;
    if (at >= 0 && at < size) return (*object.elements)[at];
  }
  if (object.is(Kind::kNone) || object.is(Kind::kBool) ||
      object.is(Kind::kFunction) || object.is(Kind::kFloat)) {
    Report(index.span,
           fmt::format("{} has no elements; expected a tensor, list, map, "
                       "string or model",
                       object.ToString()));
  }
  return {};
}

StaticType Checker::IndexTensor(const StaticType& object,
                                const IndexExpr& index) {
  std::vector<IndexItem> items;
  auto bound = [this](const ExprPtr& expr, IndexItem& item) {
    std::optional<int64_t> value;
    if (!expr) return value;
    value = IntOf(Check(*expr));
    if (!value) item.known = false;
    return value;
  };
  for (const Subscript& subscript : index.subscripts) {
    IndexItem item;
    switch (subscript.kind) {
      case SubscriptKind::kEllipsis:
        item.kind = IndexItem::Kind::kEllipsis;
        break;
      case SubscriptKind::kSlice: {
        item.begin = bound(subscript.begin, item);
        item.end = bound(subscript.end, item);
        std::optional<int64_t> step = bound(subscript.step, item);
        if (subscript.step && !step) item.kind = IndexItem::Kind::kUnknown;
        item.step = step.value_or(1);
        break;
      }
      case SubscriptKind::kIndex: {
        StaticType at = Check(*subscript.index);
        item.kind = IndexItem::Kind::kUnknown;
        bool ids = (at.is(Kind::kTensor) || at.is(Kind::kList)) && at.tensor &&
                   at.tensor->dtype() == DType::I32;
        if (ids) {
          item.kind = IndexItem::Kind::kTensor;
          item.tensor = at.tensor;
        } else if (at.is(Kind::kInt)) {
          item.kind = IndexItem::Kind::kInt;
          item.integer = at.integer;
        }
        break;
      }
    }
    items.push_back(std::move(item));
  }
  return Lowered(index.span, [&] {
    return StaticType::Tensor(Index(Typing(), object.tensor, items));
  });
}

}  // namespace tl
