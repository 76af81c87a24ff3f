// Models whose path is a literal: what their header says of their tensors.
#include <fmt/format.h>

#include <algorithm>

#include "lang/checker_rules.h"

namespace tl {
namespace {

using Kind = StaticType::Kind;

bool HasPart(const ModelFacts& model, const std::string& part) {
  return std::any_of(model.header->tensors.begin(), model.header->tensors.end(),
                     [&](const HeaderTensor& tensor) {
                       return tensor.name.starts_with(part + ".");
                     });
}

StaticType PartOf(const StaticType& model, const std::string& part) {
  StaticType type = StaticType::Of(Kind::kModel);
  type.model = model.model;
  type.prefix = part + ".";
  return type;
}

}  // namespace

StaticType Checker::LoadModel(const std::vector<Arg>& args,
                              const ArgumentBinding& binding) {
  StaticType type = StaticType::Of(Kind::kModel);
  const StaticType& path = args[binding.arguments[0]].type;
  if (!path.text || !options_.headers || models_ == Models::kLeftToTheRun) {
    return type;
  }
  // Under another layout the tensors have other names than in the header.
  if (binding.arguments[3] != ArgumentBinding::kDefault) return type;
  // The type that tensors take on use is part of the facts, so each kind of
  // load of a file has its own.
  std::string wanted = "float16";
  if (binding.arguments[1] != ArgumentBinding::kDefault) {
    const StaticType& dtype = args[binding.arguments[1]].type;
    wanted = dtype.text ? *dtype.text : dtype.is(Kind::kNone) ? wanted : "";
  }
  auto [place, added] = headers_.try_emplace(*path.text + '\n' + wanted);
  if (added) {
    if (auto header = options_.headers->Find(*path.text)) {
      auto facts = std::make_shared<ModelFacts>();
      facts->path = *path.text;
      if (wanted == "float16") facts->dtype = DType::F16;
      if (wanted == "float32") facts->dtype = DType::F32;
      for (const HeaderTensor& tensor : header->tensors) {
        facts->by_name.emplace(tensor.name, &tensor);
      }
      facts->header = std::move(header);
      place->second = std::move(facts);
    }
  }
  type.model = place->second;
  read_headers_ = read_headers_ || type.model;
  return type;
}

StaticType Checker::ModelTensor(const StaticType& model,
                                const std::string& name, Span span,
                                Absence absence) {
  if (!model.model) return {};
  const ModelFacts& facts = *model.model;
  std::string full = model.prefix + name;
  auto found = facts.by_name.find(full);
  if (found == facts.by_name.end()) {
    if (absence == Absence::kNone) return {};
    std::vector<std::string_view> names;
    for (const HeaderTensor& tensor : facts.header->tensors) {
      names.push_back(tensor.name);
    }
    std::string nearest = NearestName(full, names);
    Report(span,
           fmt::format("'{}' has no tensor '{}' among its {}", facts.path, full,
                       names.size()),
           nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest));
    return {};
  }
  const HeaderTensor& tensor = *found->second;
  if (!tensor.usable) {
    Report(span, fmt::format("'{}': tensor '{}' has type {}, which cannot be "
                             "computed with; only floating-point types can",
                             facts.path, full, tensor.dtype));
    return {};
  }
  if (!facts.dtype || tensor.shape.size() > kMaxRank) {
    return StaticType::Tensor(nullptr);
  }
  return StaticType::Tensor(
      MakeRef<TensorValue>(TensorType{*facts.dtype, Shape::Of(tensor.shape)}));
}

// In order: a member of every model, a tensor, a part.
StaticType Checker::ModelMember(const StaticType& model,
                                const MemberExpr& member) {
  const MemberInfo* info = FindMember(MemberOwner::kModel, member.name);
  bool whole = model.prefix.empty();
  if (info && (whole || member.name == "names")) {
    if (info->result == TypeKind::kList) return StaticType::Of(Kind::kList);
    if (info->result == TypeKind::kMap) return StaticType::Of(Kind::kMap);
    if (info->result == TypeKind::kString) {
      return StaticType::Of(Kind::kString);
    }
    if (info->result == TypeKind::kTokenizer) {
      return StaticType::Of(Kind::kTokenizer);
    }
    return {};
  }
  if (!model.model) return {};
  std::string full = model.prefix + member.name;
  if (!model.model->by_name.contains(full)) {
    if (HasPart(*model.model, full)) return PartOf(model, full);
    if (FindSignature(member.name)) return {};
  }
  return ModelTensor(model, member.name, member.name_span, Absence::kFault);
}

StaticType Checker::ModelIndex(const StaticType& model, const Expr& key) {
  StaticType name = Check(key);
  if (name.text) {
    return ModelTensor(model, *name.text, key.span, Absence::kFault);
  }
  if (!model.model || !name.is(Kind::kInt) || !name.integer) return {};
  std::string part = model.prefix + std::to_string(*name.integer);
  if (HasPart(*model.model, part)) return PartOf(model, part);
  if (model.model->by_name.contains(part)) {
    return ModelTensor(model, std::to_string(*name.integer), key.span,
                       Absence::kFault);
  }
  Report(key.span,
         fmt::format("'{}' has no part '{}'", model.model->path, part));
  return {};
}

// `m["w"] = t` and `m.remove("w")` make the header untrue. An unknown value
// that is given an int or a slice is a list or a tensor.
void Checker::NoteModelChange(const StaticType& changed, const Expr* key) {
  if (changed.is(Kind::kModel)) models_change_ = true;
  if (changed.known()) return;
  bool number = false;
  if (key) {
    const auto* name = FindAs<NameExpr>(*key);
    Variable* variable = name ? FindVariable(name->name) : nullptr;
    number = key->kind == ExprKind::kInt ||
             (variable && variable->type.is(Kind::kInt));
  }
  models_change_ = models_change_ || !number;
}

}  // namespace tl
