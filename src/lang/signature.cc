#include "lang/signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <unordered_map>

#include "base/error.h"
#include "lang/diagnostics.h"
#include "lang/type_names.h"
#include "ops/functions.h"

namespace tl {
namespace {

// Reads one row; every failure is a fault of the table.
class RowReader {
 public:
  explicit RowReader(std::string_view row) : row_(row) {}

  Signature Read() {
    Signature signature;
    signature.name = Until("(");
    while (!TakeIf(")")) {
      signature.parameters.push_back(Parameter());
      TakeIf(",");
    }
    if (TakeIf("->")) signature.result = Type(Word());
    TL_CHECK(row_.empty());
    return signature;
  }

 private:
  void SkipBlanks() {
    while (row_.starts_with(' ')) row_.remove_prefix(1);
  }

  bool TakeIf(std::string_view text) {
    SkipBlanks();
    if (!row_.starts_with(text)) return false;
    row_.remove_prefix(text.size());
    SkipBlanks();
    return true;
  }

  std::string Until(std::string_view mark) {
    size_t end = row_.find(mark);
    TL_CHECK(end != std::string_view::npos);
    std::string text(row_.substr(0, end));
    row_.remove_prefix(end + mark.size());
    SkipBlanks();
    return text;
  }

  std::string_view Word() {
    size_t end = std::min(row_.find_first_of(" ,).="), row_.size());
    std::string_view word = row_.substr(0, end);
    row_.remove_prefix(end);
    return word;
  }

  static TypeKind Type(std::string_view name) {
    if (name == "any") return TypeKind::kAny;
    std::optional<TypeKind> type = FindType(name);
    TL_CHECK(type.has_value());
    return *type;
  }

  SignatureParameter Parameter() {
    SignatureParameter parameter;
    parameter.name = Until(":");
    parameter.type = Type(Word());
    parameter.rest = TakeIf("...");
    parameter.optional = parameter.rest;
    if (TakeIf("=")) {
      parameter.optional = true;
      parameter.default_value = Default();
    }
    return parameter;
  }

  DefaultValue Default() {
    if (TakeIf("\"")) return Until("\"");
    size_t end = row_.find_first_of(",)");
    std::string_view text = row_.substr(0, end);
    row_.remove_prefix(text.size());
    if (text == "none") return std::monostate();
    if (text == "true" || text == "false") return text == "true";
    const char* last = text.data() + text.size();
    int64_t integer = 0;
    if (std::from_chars(text.data(), last, integer).ptr == last) {
      return integer;
    }
    double real = 0;
    TL_CHECK(std::from_chars(text.data(), last, real).ptr == last);
    return real;
  }

  std::string_view row_;
};

constexpr std::string_view NameOfRow(std::string_view signature) {
  return signature.substr(0, signature.find('('));
}

constexpr BuiltinInfo kBuiltins[] = {
#define TL_BUILTIN(id, signature, doc) {NameOfRow(signature), signature, doc},
#define TL_CONSTANT(name, value, doc)
#define TL_MEMBER(owner, name, result, doc)
#include "lang/builtins.def"
};

constexpr ConstantInfo kConstants[] = {
#define TL_BUILTIN(id, signature, doc)
#define TL_CONSTANT(name, value, doc) {name, value, doc},
#define TL_MEMBER(owner, name, result, doc)
#include "lang/builtins.def"
};

constexpr MemberInfo kMembers[] = {
#define TL_BUILTIN(id, signature, doc)
#define TL_CONSTANT(name, value, doc)
#define TL_MEMBER(owner, name, result, doc) \
  {MemberOwner::owner, name, TypeKind::result, doc},
#include "lang/builtins.def"
};

std::string DefaultText(const DefaultValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) {
    return *flag ? "true" : "false";
  }
  if (const int64_t* integer = std::get_if<int64_t>(&value)) {
    return fmt::format("{}", *integer);
  }
  if (const double* real = std::get_if<double>(&value)) {
    return fmt::format("{}", *real);
  }
  if (const std::string* text = std::get_if<std::string>(&value)) {
    return fmt::format("\"{}\"", *text);
  }
  return "none";
}

// What is no literal is not worth its length in a message.
std::string TextOf(const Expr& expr) {
  if (expr.kind == ExprKind::kNone) return "none";
  if (const auto* flag = FindAs<BoolExpr>(expr)) {
    return flag->value ? "true" : "false";
  }
  if (const auto* integer = FindAs<IntExpr>(expr)) {
    return fmt::format("{}", integer->value);
  }
  if (const auto* real = FindAs<FloatExpr>(expr)) {
    std::string text = fmt::format("{}", real->value);
    bool whole = text.find_first_not_of("0123456789") == std::string::npos;
    return whole ? text + ".0" : text;
  }
  if (const auto* string = FindAs<StringExpr>(expr)) {
    return fmt::format("\"{}\"", string->value);
  }
  if (const auto* name = FindAs<NameExpr>(expr)) return name->name;
  const auto* unary = FindAs<UnaryExpr>(expr);
  if (unary && unary->op == UnaryOp::kNegate) {
    return fmt::format("-{}", TextOf(*unary->operand));
  }
  return "...";
}

// How many arguments a call may have, as a message says it.
std::string Expected(const Signature& signature) {
  size_t most = signature.parameters.size();
  size_t least = 0;
  for (const SignatureParameter& parameter : signature.parameters) {
    if (!parameter.optional) ++least;
  }
  auto counted = [](size_t count) {
    return fmt::format("{} argument{}", count, count == 1 ? "" : "s");
  };
  if (signature.FindRest() != Signature::npos) {
    return "at least " + counted(least);
  }
  if (least == most) return counted(most);
  return fmt::format("{} to {}", least, counted(most));
}

ArgumentBinding Refused(size_t argument, std::string fault,
                        std::string hint = "") {
  ArgumentBinding binding;
  binding.fault = std::move(fault);
  binding.hint = std::move(hint);
  binding.faulty_argument = argument;
  return binding;
}

ArgumentBinding UnknownName(const Signature& signature, size_t argument,
                            std::string_view name) {
  std::vector<std::string_view> names;
  for (const SignatureParameter& parameter : signature.parameters) {
    names.push_back(parameter.name);
  }
  std::string nearest = NearestName(name, names);
  return Refused(
      argument,
      fmt::format("'{}' has no parameter '{}'; its form is {}", signature.name,
                  name, signature.ToString()),
      nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest));
}

}  // namespace

size_t Signature::FindRest() const {
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].rest) return i;
  }
  return npos;
}

std::string Signature::ToString() const {
  std::string text;
  for (const SignatureParameter& parameter : parameters) {
    if (!text.empty()) text += ", ";
    text += parameter.name;
    if (parameter.rest) {
      text += "...";
    } else if (parameter.optional) {
      text += " = " + (parameter.default_text.empty()
                           ? DefaultText(parameter.default_value)
                           : parameter.default_text);
    }
  }
  return fmt::format("{}({})", name, text);
}

Signature ParseSignature(std::string_view row) { return RowReader(row).Read(); }

Signature SignatureOf(const FunctionDecl& function) {
  Signature signature;
  signature.name = function.name.empty() ? "fn" : function.name;
  signature.result = function.result.kind;
  for (const ParamDecl& parameter : function.parameters) {
    SignatureParameter parsed;
    parsed.name = parameter.name;
    parsed.type = parameter.type.kind;
    parsed.optional = parameter.default_value != nullptr;
    if (parsed.optional) parsed.default_text = TextOf(*parameter.default_value);
    signature.parameters.push_back(std::move(parsed));
  }
  return signature;
}

ArgumentBinding Bind(const Signature& signature,
                     std::span<const std::string_view> names) {
  const std::vector<SignatureParameter>& parameters = signature.parameters;
  ArgumentBinding binding;
  binding.arguments.assign(parameters.size(), ArgumentBinding::kDefault);
  size_t next = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    int argument = static_cast<int>(i);
    if (names[i].empty()) {
      if (next == parameters.size()) {
        return Refused(i,
                       fmt::format("'{}' takes {}; {} given", signature.name,
                                   Expected(signature), names.size()),
                       "its form is " + signature.ToString());
      }
      if (parameters[next].rest) {
        binding.rest.push_back(argument);
      } else {
        binding.arguments[next++] = argument;
      }
      continue;
    }
    auto named = std::find_if(
        parameters.begin(), parameters.end(),
        [&](const SignatureParameter& p) { return p.name == names[i]; });
    if (named == parameters.end()) return UnknownName(signature, i, names[i]);
    size_t slot = static_cast<size_t>(named - parameters.begin());
    bool taken =
        named->rest ? !binding.rest.empty() : binding.arguments[slot] >= 0;
    if (taken) {
      return Refused(i, fmt::format("'{}' of '{}' is given twice", names[i],
                                    signature.name));
    }
    if (named->rest) {
      binding.rest.push_back(argument);
    } else {
      binding.arguments[slot] = argument;
    }
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].optional || binding.arguments[i] >= 0) continue;
    return Refused(Signature::npos,
                   fmt::format("'{}' takes {}; {} given", signature.name,
                               Expected(signature), names.size()),
                   fmt::format("'{}' is missing; its form is {}",
                               parameters[i].name, signature.ToString()));
  }
  return binding;
}

std::span<const BuiltinInfo> Builtins() { return kBuiltins; }

std::optional<BuiltinId> FindBuiltinId(std::string_view name) {
  static const auto& by_name = *[] {
    auto* made = new std::unordered_map<std::string_view, BuiltinId>;
    for (size_t i = 0; i < std::size(kBuiltins); ++i) {
      made->emplace(kBuiltins[i].name, static_cast<BuiltinId>(i));
    }
    return made;
  }();
  auto found = by_name.find(name);
  if (found == by_name.end()) return std::nullopt;
  return found->second;
}

const Signature& SignatureOf(BuiltinId builtin) {
  static auto& parsed = *new std::unordered_map<BuiltinId, Signature>;
  auto [place, added] = parsed.try_emplace(builtin);
  if (added) {
    place->second =
        ParseSignature(kBuiltins[static_cast<size_t>(builtin)].signature);
  }
  return place->second;
}

const Signature* FindFunctionSignature(std::string_view name) {
  const FunctionInfo* function = FindFunction(name);
  return function ? &SignatureOf(*function) : nullptr;
}

const Signature& SignatureOf(const FunctionInfo& function) {
  static auto& parsed =
      *new std::vector<std::unique_ptr<Signature>>(Functions().size());
  auto& place = parsed[&function - Functions().data()];
  if (!place) {
    place = std::make_unique<Signature>(ParseSignature(function.signature));
  }
  return *place;
}

const Signature* FindSignature(std::string_view name) {
  if (std::optional<BuiltinId> builtin = FindBuiltinId(name)) {
    return &SignatureOf(*builtin);
  }
  return FindFunctionSignature(name);
}

std::span<const ConstantInfo> Constants() { return kConstants; }

const ConstantInfo* FindConstant(std::string_view name) {
  for (const ConstantInfo& constant : kConstants) {
    if (constant.name == name) return &constant;
  }
  return nullptr;
}

std::span<const MemberInfo> Members() { return kMembers; }

const MemberInfo* FindMember(MemberOwner owner, std::string_view name) {
  for (const MemberInfo& member : kMembers) {
    if (member.owner == owner && member.name == name) return &member;
  }
  return nullptr;
}

std::vector<std::string_view> BuiltinNames() {
  std::vector<std::string_view> names;
  for (const BuiltinInfo& builtin : kBuiltins) names.push_back(builtin.name);
  for (const FunctionInfo& function : Functions()) {
    names.push_back(function.name);
  }
  for (const ConstantInfo& constant : kConstants) {
    names.push_back(constant.name);
  }
  return names;
}

}  // namespace tl
