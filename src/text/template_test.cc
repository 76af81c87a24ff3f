// What templates may not do, with the whole messages. What they write is
// compared with Jinja's in template_reference_test.cc.
#include "text/template.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tl {
namespace {

using jinja::Value;

std::string Render(std::string_view text, ChatLimits limits = {}) {
  ChatRequest request;
  request.messages = jinja::ParseJson(
      R"([{"role": "user", "content": "Hi"}, {"role": "assistant"}])");
  request.eos_token = "</s>";
  try {
    return ChatTemplate::Parse(text, limits).Render(request);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.text();
  }
}

TEST(ChatTemplate, WritesAConversation) {
  EXPECT_EQ(Render("{% for m in messages %}{{ m.role }}: {{ m.content }}\n"
                   "{% endfor %}{{ eos_token }}{{ bos_token }}"),
            "user: Hi\nassistant: \n</s>");
}

TEST(ChatTemplate, RendersAgainFromTheStart) {
  const ChatTemplate parsed =
      ChatTemplate::Parse("{{ n is defined }}{% set n = 1 %}{{ n }}");
  EXPECT_EQ(parsed.Render({}), "False1");
  EXPECT_EQ(parsed.Render({}), "False1");
}

TEST(ChatTemplate, VariablesReplaceOwnNames) {
  ChatRequest request;
  request.variables.emplace_back("documents", Value::Int(3));
  EXPECT_EQ(ChatTemplate::Parse("{{ documents }}").Render(request), "3");
}

TEST(ChatTemplate, LeavesWrongBytesAsTheyAre) {
  EXPECT_EQ(Render("a\xff{{ '\xfe' }}"), "a\xff\xfe");
}

TEST(ChatTemplateSyntax, SaysWhereItIsWrongAndWhatWasExpected) {
  EXPECT_EQ(Render("a\n  {{ 1 + }}"),
            "chat template:2:10: expected an expression, got '}}'");
  EXPECT_EQ(
      Render("{% if a %}b"),
      "chat template:1:12: expected '{% endif %}', but the template ends");
  EXPECT_EQ(Render("{% if a %}{% endfor %}"),
            "chat template:1:14: expected '{% endif %}', got 'endfor'");
  EXPECT_EQ(Render("x{% endif %}"), "chat template:1:5: 'endif' ends nothing");
  EXPECT_EQ(Render("{{ a"),
            "chat template:1:1: this tag is not closed; expected '}}'");
  EXPECT_EQ(Render("{# a"),
            "chat template:1:1: this comment is not closed; expected '#}'");
  EXPECT_EQ(Render("{{ 'a }}"),
            "chat template:1:4: this string does not end; expected '");
  EXPECT_EQ(Render("{% raw %}"),
            "chat template:1:1: 'raw' is not closed; expected '{% endraw %}'");
  EXPECT_EQ(Render("{{ a b }}"), "chat template:1:6: expected '}}', got 'b'");
  EXPECT_EQ(Render("{% for x y %}"),
            "chat template:1:10: expected 'in', got 'y'");
  EXPECT_EQ(Render("{% set 1 = 2 %}"),
            "chat template:1:8: expected a name, got '1'");
  EXPECT_EQ(Render("{{ (1] }}"), "chat template:1:6: unexpected ']'");
  EXPECT_EQ(Render("{{ 1 ? 2 }}"), "chat template:1:6: unexpected '?'");
  EXPECT_EQ(Render("{{ '\\ud800' }}"),
            "chat template:1:7: expected 4 hexadecimal digits of a character, "
            "got 'd800'");
  EXPECT_EQ(Render("{{ 99999999999999999999 }}"),
            "chat template:1:4: 99999999999999999999 is too large an int");
}

TEST(ChatTemplateSyntax, NamesWhatIsNotSupported) {
  EXPECT_EQ(Render("{% include 'x' %}"),
            "chat template:1:4: 'include' is not supported");
  EXPECT_EQ(Render("{% frobnicate %}"),
            "chat template:1:4: unknown tag 'frobnicate'");
  EXPECT_EQ(Render("{% break %}"),
            "chat template:1:4: 'break' outside of a loop");
  EXPECT_EQ(
      Render("{% for x in [] %}{% macro m() %}{% endmacro %}{% endfor %}"),
      "chat template:1:21: a macro inside a loop or another macro is not "
      "supported");
  EXPECT_EQ(Render("{{ f(*a) }}"),
            "chat template:1:6: unpacked arguments are not supported");
}

TEST(ChatTemplateRun, GivesTheMessageOfRaiseException) {
  EXPECT_EQ(Render("\n{{ raise_exception('No ' ~ 'tools') }}"),
            "chat template:2:19: No tools");
}

TEST(ChatTemplateRun, SaysWhichNameIsNotDefined) {
  EXPECT_EQ(Render("{{ a.b }}"), "chat template:1:5: 'a' is not defined");
  EXPECT_EQ(Render("{{ messages[0].x.y }}"),
            "chat template:1:17: a map has no 'x'");
  EXPECT_EQ(Render("{{ messages[7].role }}"),
            "chat template:1:15: index 7 of a list of 2");
  EXPECT_EQ(Render("{{ 'a' + messages[1].content }}"),
            "chat template:1:8: a map has no 'content'");
  EXPECT_EQ(Render("{{ f() }}"), "chat template:1:5: 'f' is not defined");
}

TEST(ChatTemplateRun, SaysWhatDoesNotFit) {
  EXPECT_EQ(Render("{{ 'a' + 1 }}"),
            "chat template:1:8: cannot compute string + number");
  EXPECT_EQ(Render("{{ 1 < 'a' }}"),
            "chat template:1:6: a number and a string have no order");
  EXPECT_EQ(Render("{{ 1 // 0 }}"), "chat template:1:6: division by zero");
  EXPECT_EQ(Render("{{ 9223372036854775807 + 1 }}"),
            "chat template:1:24: an int beyond 64 bits");
  EXPECT_EQ(Render("{{ 3 ** 99 }}"),
            "chat template:1:6: an int beyond 64 bits");
  EXPECT_EQ(Render("{{ 'a' | nope }}"),
            "chat template:1:10: there is no filter 'nope'");
  EXPECT_EQ(Render("{{ 'a' is nope }}"),
            "chat template:1:8: there is no test 'nope'");
  EXPECT_EQ(Render("{{ 'a' | indent(1, 2, 3, 4) }}"),
            "chat template:1:10: indent takes at most 3 arguments, got 4");
  EXPECT_EQ(Render("{{ 'a' | trim(x=1) }}"),
            "chat template:1:10: trim has no parameter 'x'");
  EXPECT_EQ(Render("{{ 'a' | replace('b') }}"),
            "chat template:1:10: replace needs 'new'");
  EXPECT_EQ(Render("{{ 1() }}"),
            "chat template:1:5: a number cannot be called");
  EXPECT_EQ(Render("{% for x in 5 %}{% endfor %}"),
            "chat template:1:4: a number has no items to go over");
  EXPECT_EQ(Render("{% set a, b = [1] %}"),
            "chat template:1:4: 1 values for 2 names");
  EXPECT_EQ(Render("{% set eos_token.x = 1 %}"),
            "chat template:1:4: 'eos_token' is a string; only attributes of a "
            "namespace can be set");
  EXPECT_EQ(Render("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}"),
            "chat template:1:35: macro 'm' takes 1 arguments, got 2");
  EXPECT_EQ(Render("{{ strftime_now('%Q') }}"),
            "chat template:1:16: strftime_now: unknown conversion in '%Q'");
  EXPECT_EQ(Render("{{ range | tojson }}"),
            "chat template:1:12: a function cannot be JSON");
}

// The sandbox: nothing that changes a value, nothing of Python's insides.
TEST(ChatTemplateRun, ReachesNothingButItsVariables) {
  EXPECT_EQ(Render("{{ messages.append(1) }}"),
            "chat template:1:19: a list has no 'append'");
  EXPECT_EQ(Render("{{ ''.__class__.__mro__ }}"),
            "chat template:1:16: a string has no '__class__'");
  EXPECT_EQ(Render("{{ messages[0].pop('role') }}"),
            "chat template:1:19: a map has no 'pop'");
}

TEST(ChatTemplateLimits, EndAHostileTemplate) {
  const ChatLimits limits{
      .output_bytes = 1000, .work = 100000, .work_per_byte = 0};
  EXPECT_EQ(Render("{% for i in range(999) %}ab{% endfor %}", limits),
            "chat template:1:26: the template writes more than 1000 bytes");
  EXPECT_EQ(Render("{% for i in range(9999) %}{% for j in range(9999) %}"
                   "{% endfor %}{% endfor %}",
                   limits),
            "chat template:1:44: the template takes more than 100000 steps and "
            "characters");
  EXPECT_EQ(Render("{{ 'ab' * 1000000000000 }}", limits),
            "chat template:1:9: a string repeated 1000000000000 times is too "
            "large");
  EXPECT_EQ(Render("{{ range(1000000000000) }}", limits),
            "chat template:1:9: the template takes more than 100000 steps and "
            "characters");
  EXPECT_EQ(
      Render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
      "chat template:1:16: macros and expressions inside each other, more "
      "than 1000");
  EXPECT_EQ(Render("{% set ns = namespace(x=[]) %}{% for i in range(999) %}"
                   "{% set ns.x = [ns.x] %}{% endfor %}"),
            "chat template:1:73: a value is nested deeper than 100");
  EXPECT_EQ(Render("{{ " + std::string(200, '(') + "1" + std::string(200, ')') +
                   " }}"),
            "chat template:1:153: nested deeper than 150");
  std::string sum = "{{ 1";
  for (int i = 0; i < 200; ++i) sum += "+1";
  EXPECT_EQ(Render(sum + " }}"), "chat template:1:303: nested deeper than 150");
  EXPECT_EQ(Render(std::string(2000, ' '), {.template_bytes = 1000}),
            "chat template: 2000 bytes; at most 1000 are read");
}

// What takes long without making anything is paid for, too.
TEST(ChatTemplateLimits, CountLookingAtLongTexts) {
  const ChatLimits limits{.work = 3'000'000, .work_per_byte = 0};
  const std::string begin =
      "{% set x = 'ab' * 100000 %}{% set t = (x,) * 9999 %}{% for i in "
      "range(99999) %}{% set y = ";
  const std::string end = " %}{% endfor %}";
  for (const char* slow : {"x | length", "x is upper", "x in {}", "{}.get(x)",
                           "{}[x]", "x | int", "'b'.startswith(t)", "'c' in x",
                           "[{}] | map(attribute=x)", "x == x ~ ''"}) {
    const std::string got = Render(begin + slow + end, limits);
    EXPECT_TRUE(got.ends_with(
        ": the template takes more than 3000000 steps and characters"))
        << slow << " gives " << got;
  }
}

TEST(ChatTemplateLimits, ANamespaceMayHoldItself) {
  EXPECT_EQ(Render("{% set ns = namespace() %}{% set ns.me = ns %}"
                   "{% set ns.list = [ns] %}{{ ns }}{{ ns.me.me is defined }}"),
            "<Namespace>True");
}

TEST(TemplateJson, ReadsAndWritesTheSame) {
  jinja::Budget budget(1000);
  const std::string text =
      R"({"a": [1, -2.5, "x\"\n", null, true], "b": {}, "é": "\u0001"})";
  EXPECT_EQ(jinja::JsonOf(jinja::ParseJson(text), {}, budget), text);
}

TEST(TemplateJson, SaysWhatIsNoJson) {
  const auto fault = [](std::string_view text) {
    try {
      jinja::ParseJson(text);
    } catch (const Error& error) {
      return error.text().substr(0, 8);
    }
    return std::string("none");
  };
  EXPECT_EQ(fault("{"), "no JSON:");
  EXPECT_EQ(fault(std::string(200, '[') + std::string(200, ']')), "JSON: a ");
}

}  // namespace
}  // namespace tl
