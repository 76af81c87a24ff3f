// Completions, man page and editor grammar are written by hand; here they are
// held to what the parser and the language know.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/commands.h"
#include "lang/token.h"
#include "lang/type_names.h"

namespace tl {
namespace {

std::string ReadSource(const std::string& name) {
  constexpr int64_t kLimit = 1 << 20;
  return ReadTextFile(std::string(TL_SOURCE_DIR) + "/" + name, kLimit);
}

// Commands and long options of the whole command line.
std::vector<std::string> CommandsAndOptions() {
  CommandLine line;
  CLI::App app("", "tl");
  AddCommands(app, line);
  std::vector<std::string> words;
  std::vector<const CLI::App*> apps = {&app};
  for (const CLI::App* command : app.get_subcommands({})) {
    words.push_back(command->get_name());
    apps.push_back(command);
  }
  for (const CLI::App* command : apps) {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        words.push_back(name);
      }
    }
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

bool IsWordByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

bool HasWord(const std::string& text, const std::string& word) {
  for (size_t at = text.find(word); at != std::string::npos;
       at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool begins = at == 0 || !IsWordByte(text[at - 1]);
    if (begins && (end == text.size() || !IsWordByte(text[end]))) return true;
  }
  return false;
}

// Those that are not in the text. The man page escapes hyphens.
std::vector<std::string> Missing(const std::vector<std::string>& words,
                                 std::string text) {
  std::erase(text, '\\');
  std::vector<std::string> missing;
  for (const std::string& word : words) {
    if (!HasWord(text, word)) missing.push_back(word);
  }
  return missing;
}

using Words = std::vector<std::string>;

TEST(Completions, HaveEveryCommandAndOption) {
  const Words words = CommandsAndOptions();
  ASSERT_GE(words.size(), 20u);
  for (const char* file : {"completions/tl.bash", "completions/tl.zsh",
                           "completions/tl.fish", "docs/tl.1"}) {
    EXPECT_EQ(Missing(words, ReadSource(file)), Words()) << file;
  }
}

TEST(Completions, HelpNamesEveryCommand) {
  CommandLine line;
  CLI::App app("", "tl");
  AddCommands(app, line);
  const std::string help = app.help();
  for (const CLI::App* command : app.get_subcommands({})) {
    EXPECT_TRUE(HasWord(help, command->get_name())) << command->get_name();
    EXPECT_TRUE(HasWord(command->help(), "tl " + command->get_name()));
    EXPECT_FALSE(command->get_description().empty());
  }
}

TEST(EditorGrammar, HasEveryReservedWordAndType) {
  Words words;
  for (std::string_view spelling : {
#define TL_TOKEN(id, spelling, name, power) std::string_view(spelling),
#include "lang/tokens.def"
       }) {
    if (!spelling.empty() && IsWordByte(spelling[0])) {
      words.emplace_back(spelling);
    }
  }
  for (std::string_view type : TypeNames()) words.emplace_back(type);
  ASSERT_GE(words.size(), 30u);
  EXPECT_EQ(Missing(words, ReadSource("editors/tensorlogic.tmLanguage.json")),
            Words());
}

}  // namespace
}  // namespace tl
