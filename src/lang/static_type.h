// What the checker knows of a value before the run: its kind, and of some kinds
// more. Anything may be unknown; a fact that is here is certain.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "lang/ast.h"
#include "lang/header_source.h"
#include "ops/lowering.h"

namespace tl {

// A model whose path is a literal, and its header.
struct ModelFacts {
  std::string path;
  std::shared_ptr<const ModelHeader> header;
  std::optional<DType> dtype;  // of its tensors on use, if that is certain
  std::unordered_map<std::string_view, const HeaderTensor*> by_name;
};

struct StaticType {
  enum class Kind : uint8_t {
    kUnknown,
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kTensor,
    kList,
    kMap,
    kRange,
    kModel,
    kTokenizer,
    kCache,
    kFunction,
  };

  Kind kind = Kind::kUnknown;
  std::optional<int64_t> integer;   // kInt, kBool: the value
  Dim dim = Dim::Unknown();         // kInt: the value as a symbol
  std::optional<double> real;       // kFloat: the value
  std::optional<std::string> text;  // kString: the value
  // kTensor: its type. kList: that of the tensor it would make.
  TensorRef tensor;
  // kList: of each element, where the list is short and written out.
  std::shared_ptr<const std::vector<StaticType>> elements;
  std::shared_ptr<const ModelFacts> model;  // kModel
  std::string prefix;                       // kModel: of a part; "" or "a.b."
  const FunctionDecl* function = nullptr;   // kFunction of the program

  static StaticType Of(Kind kind);
  static StaticType Bool(std::optional<int64_t> value = std::nullopt);
  static StaticType Int(int64_t value);
  static StaticType Int(Dim dim);  // unknown, symbolic or known
  static StaticType Float(std::optional<double> value = std::nullopt);
  static StaticType Text(std::string value);
  static StaticType Tensor(TensorRef tensor);  // null: a tensor of some type
  static StaticType List(std::vector<StaticType> elements);

  bool is(Kind k) const { return kind == k; }
  bool known() const { return kind != Kind::kUnknown; }
  bool is_number() const { return is(Kind::kInt) || is(Kind::kFloat); }
  Dim AsDim() const;             // of kInt; unknown where negative or not known
  std::string ToString() const;  // "an int", "float16[2, 3]"
};

// What is certain of a value that is one or the other.
StaticType Join(const StaticType& a, const StaticType& b);

DType StorageOf(ElementType element);
// What is certain of a value of a declared type.
StaticType OfType(TypeKind type);

// "an int", "a list": what a parameter of this type expects.
std::string Described(TypeKind type);
// Whether such a value can be given for such a type; true where unsure.
bool MayBe(const StaticType& value, TypeKind type);

}  // namespace tl
