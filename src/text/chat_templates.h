// The chat templates that come with a tokenizer, and what they know of it. Most
// have one; where there are several, each has a name, and "default" is the one
// that is meant. How a template is rendered: template.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tl {

struct ChatTemplates {
  using Text = std::pair<std::string, std::string>;  // a name and its text

  std::vector<Text> templates;
  // bos_token, eos_token, ... of those that there are.
  std::vector<Text> special_tokens;

  // Null if there is none of that name.
  const std::string* Find(std::string_view name) const;
  // That of transformers: `chosen` is a name or itself a template; where it is
  // empty, "tool_use" with tools, else "default". Fails where there is none.
  std::string_view Choose(std::string_view chosen, bool with_tools,
                          std::string_view label) const;
};

inline constexpr char kDefaultTemplate[] = "default";

// "chat_template" (a text, or a list of {name, template}) and the special
// tokens of a tokenizer_config.json.
ChatTemplates ReadChatTemplates(const std::string& tokenizer_config,
                                const std::string& label);

}  // namespace tl
