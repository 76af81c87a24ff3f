// What a function takes: the parsed form of a table row's text
// ("softmax(x: Tensor, dim: int = -1)"), and of a function of the program. One
// binding of arguments to parameters serves the checker and the compiler.
// Rows are parsed when first asked for. Read next: builtins.def,
// ops/functions.def.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lang/ast.h"

namespace tl {

struct FunctionInfo;  // ops/functions.h

// A default as the row writes it; monostate is `none`.
using DefaultValue =
    std::variant<std::monostate, bool, int64_t, double, std::string>;

struct SignatureParameter {
  std::string name;
  TypeKind type = TypeKind::kAny;
  bool rest = false;      // takes all remaining positional arguments as a list
  bool optional = false;  // may be left out
  DefaultValue default_value;  // of a row; a program's are expressions
  std::string default_text;    // of a program's, as a message shows it
};

struct Signature {
  std::string name;
  std::vector<SignatureParameter> parameters;
  TypeKind result = TypeKind::kAny;  // kAny: not said

  size_t FindRest() const;  // index of the rest parameter, or npos
  static constexpr size_t npos = static_cast<size_t>(-1);
  // "f(x, dim = -1)" for messages, docs and completion.
  std::string ToString() const;
};

// Fails (ErrorKind::kInternal) on a row that is not well formed.
Signature ParseSignature(std::string_view row);
Signature SignatureOf(const FunctionDecl& function);

// Which argument each parameter takes.
struct ArgumentBinding {
  static constexpr int kDefault = -1;

  std::vector<int> arguments;  // per parameter: an argument, or kDefault
  std::vector<int> rest;       // arguments of the rest parameter, in order

  // Where the arguments do not fit: what to say, and of which argument
  // (npos: of the call).
  std::string fault;
  std::string hint;
  size_t faulty_argument = Signature::npos;

  bool fits() const { return fault.empty(); }
};

// `names` has the name of each argument, empty for a positional one; the
// receiver of a method call is the first of them.
ArgumentBinding Bind(const Signature& signature,
                     std::span<const std::string_view> names);

// --- The built-in functions of the program ---------------------------------

enum class BuiltinId : uint16_t {
#define TL_BUILTIN(id, signature, doc) id,
#define TL_CONSTANT(name, value, doc)
#define TL_MEMBER(owner, name, result, doc)
#include "lang/builtins.def"
};

struct BuiltinInfo {
  std::string_view name;  // "print", "IntVec::new"
  std::string_view signature;
  std::string_view doc;
};

std::span<const BuiltinInfo> Builtins();  // by BuiltinId
std::optional<BuiltinId> FindBuiltinId(std::string_view name);
const Signature& SignatureOf(BuiltinId builtin);

const Signature& SignatureOf(const FunctionInfo& function);

// The signature of a tensor function (ops/functions.def); null if unknown.
const Signature* FindFunctionSignature(std::string_view name);
// A built-in's or else a tensor function's; null if unknown.
const Signature* FindSignature(std::string_view name);

// Names that stand for a constant where nothing hides them: `gpu`, `float32`.
// Their value is a string.
struct ConstantInfo {
  std::string_view name;
  std::string_view value;
  std::string_view doc;
};

std::span<const ConstantInfo> Constants();
const ConstantInfo* FindConstant(std::string_view name);

// Members that are no functions: `x.shape`, `m.names`.
enum class MemberOwner { kTensor, kList, kMap, kModel, kCache, kTokenizer };

struct MemberInfo {
  MemberOwner owner;
  std::string_view name;
  TypeKind result;
  std::string_view doc;
};

std::span<const MemberInfo> Members();
const MemberInfo* FindMember(MemberOwner owner, std::string_view name);

// Every name a program may call or use without declaring it.
std::vector<std::string_view> BuiltinNames();

}  // namespace tl
