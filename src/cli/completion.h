// What Tab offers in the REPL: names of the program, built-ins and words of the
// language; members after a dot; tensor names inside `m["…` and after `m.`;
// files inside any other string. Looks at the text before the cursor only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/line_editor.h"
#include "lang/signature.h"

namespace tl {

// What completion asks of the session.
class NamesInScope {
 public:
  virtual ~NamesInScope() = default;

  // Variables and functions.
  virtual std::vector<std::string> Names() = 0;
  // Of what kind the variable's value is, if it has members.
  virtual std::optional<MemberOwner> KindOf(const std::string& variable) = 0;
  // Of the model in the variable; nothing if it holds none.
  virtual std::vector<std::string> TensorNames(const std::string& variable) = 0;
};

Completion Complete(std::string_view before, NamesInScope& scope);

// The unfinished word at the end of a line, and where it stands.
struct TypedWord {
  enum class Place { kName, kMember, kTensorName, kFile, kNothing };

  Place place = Place::kNothing;
  size_t begin = 0;      // of the word
  std::string variable;  // kMember, kTensorName: `m` of `m.blk[0].at`
  std::string part;      // kMember: "blk.0" of it
};

TypedWord FindTypedWord(std::string_view before);

}  // namespace tl
