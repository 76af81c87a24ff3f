// Lines typed at a terminal, with editing, history and completion (libedit).
// Knows nothing of the language: who completes is asked through a function.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct editline;
struct history;

namespace tl {

struct Completion {
  size_t begin = 0;                // where in the text the replaced part begins
  std::vector<std::string> words;  // what could stand there, sorted
  // Put behind a word that is the only one: `("` and the like.
  std::string after;
};

class LineEditor {
 public:
  // What could stand at the end of the text before the cursor.
  using Completer = std::function<Completion(std::string_view before)>;

  // The history is kept in `history_file`; empty: only in memory.
  LineEditor(std::string history_file, Completer completer);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // A line without its newline; nothing at the end of the input (Ctrl-D).
  // Throws Interrupted when Ctrl-C asks for it (base/interrupt.h).
  std::optional<std::string> Read(std::string prompt);

  // Remembers what was typed, on disk too.
  void AddToHistory(const std::string& line);

 private:
  static char* Prompt(editline* editor);
  static unsigned char Complete(editline* editor, int key);
  static LineEditor& Of(editline* editor);

  void Bind();
  void SaveHistory();
  void ShowChoices(const std::vector<std::string>& words);

  const std::string history_file_;
  const Completer completer_;
  std::string prompt_;
  struct history* history_;
  struct editline* editor_;
};

// $XDG_STATE_HOME/tensorlogic/NAME, its folder made; empty if there is no place
// for it.
std::string HistoryFile(const std::string& name);

// What all words begin with.
std::string CommonBeginning(const std::vector<std::string>& words);

// Words in columns as they fit `width`, read downwards; at most a page.
std::string InColumns(const std::vector<std::string>& words, int width);

}  // namespace tl
