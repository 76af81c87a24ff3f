#include "text/json_schema.h"

#include <simdjson.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "text/grammar_parser.h"
#include "text/json_schema_keywords.h"
#include "text/template_value.h"

namespace tl {
namespace {

// What every schema may use. Blanks and digits are few, or a model might write
// nothing else; numbers are such as a double holds, and no half of a pair of
// surrogates stands alone.
constexpr std::string_view kCommonRules = R"(
ws ::= | " " | "\n" [ \t]{0,20}
any ::= object | array | string | number | boolean | null
object ::= "{" ws (member ("," ws member)*)? "}"
member ::= string ws ":" ws any ws
array ::= "[" ws (any ws ("," ws any ws)*)? "]"
string ::= "\"" char* "\""
char ::= [^"\\\x00-\x1f\x7f] | "\\" (["\\/bfnrt] | "u" code)
code ::= [0-9a-cA-CefEF] hex{3} | [dD] [0-7] hex{2}
hex ::= [0-9a-fA-F]
number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?
integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
boolean ::= "true" | "false"
null ::= "null"
)";

std::string Literal(std::string_view text) {
  std::string literal = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') literal += '\\';
    literal += c;
  }
  return literal + '"';
}

class Converter {
 public:
  explicit Converter(const JsonPart& root) : root_(root) {}

  std::string Convert() {
    rules_ = fmt::format("root ::= {}\n", Reference(root_, "#"));
    // Converting what is referred to may refer to more.
    for (size_t i = 0; i < referred_.size(); ++i) {
      const auto [part, name] = referred_[i];
      rules_ += fmt::format("{} ::= {}\n", name, ValueOf(part));
    }
    return rules_ + std::string(kCommonRules.substr(1));
  }

 private:
  // A rule of its own, so that parentheses do not nest as schemas do.
  std::string Rule(std::string_view kind, std::string_view body) {
    const std::string name = fmt::format("{}-{}", kind, ++made_);
    rules_ += fmt::format("{} ::= {}\n", name, body);
    return name;
  }

  std::string ValueOf(const JsonPart& part) {
    if (part.value().is_bool()) {
      if (!part.Flag()) part.FailHere("is false, which allows nothing");
      return "any";
    }
    const auto [types, keywords] = KeywordsOf(part);
    for (const SchemaKeyword& keyword : keywords) {
      if (keyword.type.empty()) {
        if (keywords.size() > 1) {
          part.FailHere("'{}' beside '{}' is not supported", keyword.name,
                        keywords[keyword.name == keywords[0].name].name);
        }
        return WholeOf(part, keyword.name, types);
      }
      if (std::ranges::find(types, keyword.type) == types.end()) {
        part.FailHere("'{}' is not for the type '{}'", keyword.name, types[0]);
      }
    }
    if (types.empty()) return "any";
    std::vector<std::string> choices;
    for (const std::string& type : types) {
      choices.push_back(type == "object"   ? ObjectOf(part)
                        : type == "array"  ? ArrayOf(part)
                        : type == "string" ? StringOf(part)
                                           : type);
    }
    return OneOf(choices);
  }

  // What a keyword says that stands alone but for "type" beside enum and const.
  std::string WholeOf(const JsonPart& part, std::string_view keyword,
                      const std::vector<std::string>& types) {
    if (keyword == "const") {
      return Constant(part, part.Members().at_key("const").value_unsafe(),
                      types);
    }
    std::vector<std::string> choices;
    if (keyword == "enum") {
      for (simdjson::dom::element value : part.Get("enum").Array()) {
        choices.push_back(Constant(part, value, types));
      }
    } else {
      if (!types.empty()) {
        part.FailHere("'type' beside '{}' is not supported", keyword);
      }
      if (keyword == "$ref") return ReferenceOf(part);
      for (const JsonPart& item : part.Get(keyword).Items()) {
        choices.push_back(ValueOf(item));
      }
    }
    if (choices.empty()) part.FailHere("'{}' is empty", keyword);
    return OneOf(choices);
  }

  std::string OneOf(const std::vector<std::string>& choices) {
    if (choices.size() == 1) return choices[0];
    return Rule("choice", fmt::format("{}", fmt::join(choices, " | ")));
  }

  static std::string Constant(const JsonPart& part,
                              simdjson::dom::element value,
                              const std::vector<std::string>& types) {
    const std::string text = simdjson::to_string(value);
    if (!types.empty() &&
        std::ranges::none_of(types, [&](const std::string& type) {
          return HasType(value, type);
        })) {
      part.FailHere("{} is not of the type '{}'", text, types[0]);
    }
    return Literal(text);
  }

  std::string ReferenceOf(const JsonPart& part) {
    const JsonPart reference = part.Get("$ref");
    const std::string pointer(reference.Text());
    if (pointer == "#") return Reference(root_, pointer);
    simdjson::dom::element found;
    if (!pointer.starts_with("#/") ||
        root_.value().at_pointer(pointer.substr(1)).get(found) !=
            simdjson::SUCCESS) {
      reference.FailHere(
          "'{}' leads nowhere; expected a part of this schema, such as "
          "'#/$defs/name'",
          pointer);
    }
    return Reference(JsonPart(found, "json schema: " + pointer), pointer);
  }

  std::string Reference(const JsonPart& part, const std::string& pointer) {
    const auto [place, added] = references_.try_emplace(pointer);
    if (added) {
      place->second = fmt::format("schema-{}", ++made_);
      referred_.emplace_back(part, place->second);
    }
    return place->second;
  }

  std::string StringOf(const JsonPart& part) {
    const SchemaBounds bounds = BoundsOf(part, "minLength", "maxLength");
    if (bounds.min == 0 && bounds.max == GrammarNode::kNoMaximum) {
      return "string";
    }
    return Rule("string", fmt::format(R"("\"" char{} "\"")", bounds.Times()));
  }

  std::string ArrayOf(const JsonPart& part) {
    SchemaBounds bounds = BoundsOf(part, "minItems", "maxItems");
    const auto items = part.Find("items");
    const std::string item = items ? ValueOf(*items) : "any";
    if (bounds.max == 0) return Rule("array", R"("[" ws "]")");
    const bool empty = bounds.min == 0;
    // Behind the first.
    bounds.min -= empty ? 0 : 1;
    if (bounds.max != GrammarNode::kNoMaximum) --bounds.max;
    return Rule("array",
                fmt::format(R"("[" ws ({} ws ("," ws {} ws){}){} "]")", item,
                            item, bounds.Times(), empty ? "?" : ""));
  }

  std::string ObjectOf(const JsonPart& part) {
    const auto more = part.Find("additionalProperties");
    if (more && !(more->value().is_bool() && !more->Flag())) {
      more->FailHere("only false is supported");
    }
    const auto properties = part.Find("properties");
    if (!properties && !more && !part.Find("required")) return "object";
    std::vector<JsonPart> members;
    std::vector<std::string> names;
    if (properties) {
      for (const auto [key, value] : properties->Members()) {
        names.emplace_back(key);
        members.emplace_back(value,
                             fmt::format("{}.{}", properties->path(), key));
      }
    }
    const std::set<std::string> required = RequiredOf(part, names);
    // From the last property on: what may follow where something stands before
    // it, with a comma, and where nothing does.
    std::string behind = "\"\"", first = behind;
    for (size_t i = members.size(); i-- > 0;) {
      const std::string member =
          Rule("member", fmt::format(R"({} ws ":" ws {} ws)", Name(names[i]),
                                     ValueOf(members[i])));
      if (required.contains(names[i])) {
        first = Rule("first", fmt::format("{} {}", member, behind));
        behind = Rule("behind", fmt::format(R"("," ws {} {})", member, behind));
      } else {
        first = Rule("first", fmt::format("{} {} | {}", member, behind, first));
        behind =
            Rule("behind", fmt::format(R"(("," ws {})? {})", member, behind));
      }
    }
    return Rule("object", fmt::format(R"("{{" ws {} "}}")", first));
  }

  // The name of a property, as JSON writes it.
  static std::string Name(const std::string& name) {
    jinja::Budget budget(kMaxGrammarBytes);
    return Literal(jinja::JsonOf(jinja::Value::String(name), {}, budget));
  }

  static std::set<std::string> RequiredOf(
      const JsonPart& part, const std::vector<std::string>& names) {
    std::set<std::string_view> twice;
    for (const std::string& name : names) {
      if (!twice.insert(name).second) {
        part.FailHere("the property '{}' is there twice", name);
      }
    }
    std::set<std::string> required;
    const auto list = part.Find("required");
    if (!list) return required;
    for (const JsonPart& item : list->Items()) {
      const std::string name(item.Text());
      if (!twice.contains(name)) {
        item.FailHere("'{}' is no property", name);
      }
      required.insert(name);
    }
    return required;
  }

  const JsonPart& root_;
  std::string rules_;
  int made_ = 0;
  std::map<std::string, std::string> references_;  // pointers, and rules
  std::vector<std::pair<JsonPart, std::string>> referred_;
};

}  // namespace

std::string JsonSchemaGrammar(const std::string& schema) {
  const JsonFile file(schema, "json schema");
  return Converter(file.root()).Convert();
}

}  // namespace tl
