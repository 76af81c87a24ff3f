// Templates against what Jinja, set up by Hugging Face's transformers, made of
// them: tests/references/chat_templates, which generate.py there wrote.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "text/template.h"

namespace tl {
namespace {

using jinja::Value;

const std::string kFolder = TL_SOURCE_DIR "/tests/references/chat_templates/";

std::string ReadText(const std::string& name) {
  std::ifstream file(kFolder + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const Value& Member(const Value& map, std::string_view name) {
  static const Value kNone = Value::None();
  const Value* found = map.map().Find(name);
  return found ? *found : kNone;
}

ChatRequest Request() {
  ChatRequest request;
  std::tm& now = request.now;
  now.tm_year = 126, now.tm_mon = 2, now.tm_mday = 5, now.tm_wday = 4;
  now.tm_hour = 14, now.tm_min = 7, now.tm_sec = 9, now.tm_yday = 63;
  return request;
}

// The text, or the error's.
std::string Rendered(const std::string& text, const ChatRequest& request) {
  try {
    return ChatTemplate::Parse(text).Render(request);
  } catch (const Error& error) {
    return error.text();
  }
}

void ExpectLike(const std::string& got, const Value& expected) {
  if (expected.is_string()) {
    EXPECT_EQ(got, expected.text());
    return;
  }
  // The words that the template chose are the end of the error.
  EXPECT_TRUE(got.starts_with("chat template:")) << got;
  if (const Value* error = expected.map().Find("error")) {
    EXPECT_TRUE(got.ends_with(": " + error->text())) << got;
  }
}

TEST(ChatTemplate, WritesWhatTransformersWrite) {
  const Value conversations = jinja::ParseJson(ReadText("conversations.json"));
  const Value rendered = jinja::ParseJson(ReadText("rendered.json"));
  int compared = 0;
  for (const auto& [name, answers] :
       Member(rendered, "templates").map().entries) {
    const std::string text = ReadText("templates/" + name.text() + ".jinja");
    for (const auto& [title, expected] : answers.map().entries) {
      SCOPED_TRACE(name.text() + ", " + title.text());
      const Value& conversation = Member(conversations, title.text());
      ChatRequest request = Request();
      request.messages = Member(conversation, "messages");
      request.tools = Member(conversation, "tools");
      request.add_generation_prompt =
          Member(conversation, "add_generation_prompt").boolean();
      request.bos_token = "<s>";
      request.eos_token = "</s>";
      const Value& more = Member(conversation, "variables");
      if (more.is(jinja::Kind::kMap)) {
        for (const auto& [key, value] : more.map().entries) {
          request.variables.emplace_back(key.text(), value);
        }
      }
      ExpectLike(Rendered(text, request), expected);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 12 * 8);
}

TEST(ChatTemplate, SnippetsGiveWhatJinjaGives) {
  const Value rendered = jinja::ParseJson(ReadText("rendered.json"));
  ChatRequest request = Request();
  for (const auto& [key, value] : Member(rendered, "variables").map().entries) {
    request.variables.emplace_back(key.text(), value);
  }
  const std::string all = ReadText("snippets.txt");
  const std::string between = "\n----\n";
  size_t begin = 0;
  for (const Value& expected : Member(rendered, "snippets").items()) {
    const size_t end = std::min(all.find(between, begin), all.size() - 1);
    const std::string snippet = all.substr(begin, end - begin);
    SCOPED_TRACE(snippet);
    ExpectLike(Rendered(snippet, request), expected);
    begin = end + between.size();
  }
  EXPECT_GT(begin, all.size());
}

}  // namespace
}  // namespace tl
