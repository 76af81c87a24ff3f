// Which texts a schema takes, and what is refused. grammar_test.py compares
// with Python's jsonschema.
#include "text/json_schema.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/grammar_automaton.h"

namespace tl {
namespace {

bool Takes(const std::string& schema, std::string_view text) {
  GrammarAutomaton automaton(Grammar::Parse(JsonSchemaGrammar(schema)));
  GrammarAutomaton::Set set = automaton.SetOf(automaton.Start());
  for (char byte : text) {
    set = automaton.Step(set, static_cast<uint8_t>(byte));
    if (set == GrammarAutomaton::kDead) return false;
  }
  return automaton.MayEnd(set);
}

struct Row {
  std::string schema;
  std::vector<std::string> yes, no;
};

void Check(const Row& row) {
  for (const std::string& text : row.yes) {
    EXPECT_TRUE(Takes(row.schema, text)) << row.schema << ": " << text;
  }
  for (const std::string& text : row.no) {
    EXPECT_FALSE(Takes(row.schema, text)) << row.schema << ": " << text;
  }
}

std::string FaultOf(const std::string& schema) {
  try {
    Grammar::Parse(JsonSchemaGrammar(schema));
  } catch (const Error& error) {
    return error.text();
  }
  return "none";
}

TEST(JsonSchema, TakesTheTypes) {
  Check({R"({"type": "integer"})",
         {"0", "-12", "9007199254740993"},
         {"", "01", "1.0", "+1", "1e2", "\"1\"", " 1", "1 "}});
  Check({R"({"type": "number"})",
         {"0", "-1.50", "2e-7", "1E+10"},
         {"1.", ".5", "1e", "1e100", "NaN"}});
  Check({R"({"type": "boolean"})", {"true", "false"}, {"null", "True"}});
  Check({R"({"type": "null"})", {"null"}, {"0", "nul"}});
  Check({R"({"type": "string"})",
         {R"("")", R"("é\n\"\\\/\u00e9\ud7ff\uE000")"},
         {"\"", "\"\n\"", R"("\x")", R"("\ud800")", R"("\u12")"}});
  Check({R"({"type": ["string", "null"]})", {R"("a")", "null"}, {"1"}});
  Check({"{}", {"1", "[]", R"({"a": [true, {"b": null}]})"}, {"", "[1,]"}});
}

TEST(JsonSchema, TakesStringsOfALength) {
  Check({R"({"type": "string", "minLength": 2, "maxLength": 3})",
         {R"("ab")", R"("é\n€")"},
         {R"("a")", R"("abcd")"}});
  Check({R"({"minLength": 1})", {R"("a")", R"("abcdefgh")"}, {R"("")", "1"}});
  Check({R"({"maxLength": 0})", {R"("")"}, {R"("a")"}});
}

TEST(JsonSchema, TakesArraysOfItems) {
  Check({R"({"type": "array"})", {"[]", "[1, \"a\", []]", "[ 1 ]"}, {"{}"}});
  Check({R"({"items": {"type": "integer"}})", {"[]", "[1,2, 3]"}, {"[\"\"]"}});
  Check({R"({"items": {"type": "integer"}, "minItems": 2, "maxItems": 3})",
         {"[1,2]", "[1,2,3]"},
         {"[]", "[1]", "[1,2,3,4]", "[1,2,]"}});
  Check({R"({"items": true, "maxItems": 1})", {"[]", "[{}]"}, {"[1,2]"}});
  Check({R"({"type": "array", "maxItems": 0})", {"[]", "[ ]"}, {"[1]"}});
  Check({R"({"type": "array", "minItems": 1})", {"[1]", "[1,2,3]"}, {"[]"}});
}

TEST(JsonSchema, TakesPropertiesInTheirOrderAndNoOthers) {
  const std::string schema = R"({"type": "object", "properties": {
      "a": {"type": "integer"}, "b": {"type": "integer"},
      "c": {"type": "integer"}, "d": {"type": "integer"}},
      "required": ["b"], "additionalProperties": false})";
  Check({schema,
         {R"({"b":1})", R"({"a":1,"b":2})", R"({"b":1, "d":2})",
          "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3,\n  \"d\": 4\n}"},
         {"{}", R"({"a":1})", R"({"b":1,})", R"({,"b":1})", R"({"b":1,"a":2})",
          R"({"b":1,"e":2})", R"({"b":1,"b":2})", R"({"a":1 "b":2})"}});
  Check({R"({"properties": {"a": {}, "b": {}}})",
         {"{}", R"({"a":1})", R"({"b":[]})", R"({"a":1,"b":2})"},
         {R"({"b":1,"a":2})", R"({"a":1,})", R"({,"b":2})"}});
  Check({R"({"type": "object"})", {"{}", R"({"x": {"y": 1}})"}, {"[]"}});
  Check({R"({"properties": {}})", {"{}", "{ }"}, {R"({"x": 1})"}});
  Check({R"({"type": "object", "additionalProperties": false})",
         {"{}"},
         {R"({"x": 1})"}});
  Check(
      {R"({"properties": {"é\"\n\\": {"const": 1}}, "required": ["é\"\n\\"]})",
       {R"({"é\"\n\\": 1})"},
       {"{}"}});
}

TEST(JsonSchema, TakesConstantsAndChoices) {
  Check({R"({"enum": ["a\"b", 1, null, [1, {"x": 2.5}]]})",
         {R"("a\"b")", "1", "null", R"([1,{"x":2.5}])"},
         {"a", "2", "\"\""}});
  Check({R"({"type": "string", "const": "x"})", {R"("x")"}, {"x"}});
  Check({R"({"const": null})", {"null"}, {"1"}});
  Check({R"({"anyOf": [{"type": "integer"}, {"const": "x"}]})",
         {"12", R"("x")"},
         {R"("y")"}});
  Check({R"({"oneOf": [{"type": "null"}], "title": "t", "default": 1})",
         {"null"},
         {"1"}});
}

TEST(JsonSchema, FollowsReferencesAlsoToItself) {
  Check({R"({"$ref": "#/$defs/list", "$defs": {"list": {"anyOf": [
            {"type": "null"}, {"type": "object", "properties": {
              "next": {"$ref": "#/$defs/list"}}, "required": ["next"]}]}}})",
         {"null", R"({"next":{"next": null}})"},
         {"{}", R"({"next":1})"}});
  Check({R"({"properties": {"kids": {"items": {"$ref": "#"}}}})",
         {"{}", R"({"kids": [{"kids": []}, {}]})"},
         {R"({"kids": [1]})"}});
  Check({R"({"$ref": "#/definitions/a~1b", "definitions": {"a/b": true}})",
         {"1"},
         {}});
}

TEST(JsonSchemaErrors, NameWhatAGrammarCannotKeep) {
  const std::pair<std::string, std::string_view> rows[] = {
      {"{", "json schema: is no JSON: "},
      {"[]", "json schema: is no object"},
      {R"({"pattern": "a"})", "json schema: 'pattern' is not supported"},
      {R"({"properties": {"age": {"type": "integer", "minimum": 0}}})",
       "json schema: properties.age: 'minimum' is not supported"},
      {R"({"items": {"allOf": []}})",
       "json schema: items: 'allOf' is not supported"},
      {R"({"items": [1]})",
       "json schema: items: is an array; expected an "
       "object"},
      {R"({"items": {"anyOf": [{"format": "date"}]}})",
       "json schema: items.anyOf[0]: 'format' is not supported"},
      {R"({"properties": {"a": {}}, "additionalProperties": true})",
       "json schema: additionalProperties: only false is supported"},
      {R"({"type": "object", "additionalProperties": {"type": "null"}})",
       "json schema: additionalProperties: only false is supported"},
      {R"({"properties": {"a": {}}, "required": ["a", "b"]})",
       "json schema: required[1]: 'b' is no property"},
      {R"({"properties": {"a": {}, "a": {}}})",
       "json schema: the property 'a' is there twice"},
      {R"({"items": true, "items": true})",
       "json schema: 'items' is there twice"},
      {R"({"items": null})", "json schema: 'items' is null"},
      {R"({"items": false})",
       "json schema: items: is false, which allows nothing"},
      {R"({"type": "text"})", "json schema: type: there is no type 'text'"},
      {R"({"type": []})", "json schema: type: is empty"},
      {R"({"type": "integer", "maxLength": 3})",
       "json schema: 'maxLength' is not for the type 'integer'"},
      {R"({"type": "string", "enum": ["a", 1]})",
       "json schema: 1 is not of the type 'string'"},
      {R"({"enum": []})", "json schema: 'enum' is empty"},
      {R"({"anyOf": [], "type": "null"})",
       "json schema: 'type' beside 'anyOf' is not supported"},
      {R"({"const": 1, "enum": [1]})",
       "json schema: 'const' beside 'enum' is not supported"},
      {R"({"properties": {"a": {}}, "oneOf": [{}]})",
       "json schema: 'oneOf' beside 'properties' is not supported"},
      {R"({"minItems": 3, "maxItems": 2})",
       "json schema: 'minItems' is 3 and 'maxItems' 2"},
      {R"({"minLength": -1})",
       "json schema: 'minLength' is -1; expected 0 to 10000"},
      {R"({"maxLength": -1})",
       "json schema: 'maxLength' is -1; expected 0 to 10000"},
      {R"({"maxLength": 10001})",
       "json schema: 'maxLength' is 10001; expected 0 to 10000"},
      {R"({"maxLength": 1.5})",
       "json schema: maxLength: is a number; expected a whole number"},
      {R"({"$ref": "other.json#/a"})",
       "json schema: $ref: 'other.json#/a' leads nowhere; expected a part of "
       "this schema, such as '#/$defs/name'"},
      {R"({"$ref": "#/$defs/x"})",
       "json schema: $ref: '#/$defs/x' leads nowhere; expected a part of this "
       "schema, such as '#/$defs/name'"},
  };
  for (const auto& [schema, fault] : rows) {
    if (schema == "{") {
      EXPECT_EQ(FaultOf(schema).substr(0, fault.size()), fault);
    } else {
      EXPECT_EQ(FaultOf(schema), fault);
    }
  }
}

TEST(JsonSchemaErrors, SayThatASchemaIsOnlyItself) {
  EXPECT_EQ(FaultOf(R"({"$ref": "#"})"),
            "grammar:1:10: the rule 'schema-1' begins with itself ('schema-1' "
            "-> 'schema-1'); left recursion is not supported");
}

}  // namespace
}  // namespace tl
