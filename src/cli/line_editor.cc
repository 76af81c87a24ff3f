#include "cli/line_editor.h"

#include <fmt/format.h>
#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <filesystem>
#include <system_error>

#include "base/interrupt.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "cli/terminal_modes.h"

// Of LeakSanitizer, where it is built in.
extern "C" [[gnu::weak]] void __lsan_disable();
extern "C" [[gnu::weak]] void __lsan_enable();

namespace tl {
namespace {

// While it lives nothing that is allocated counts as lost: libedit never frees
// its copies of the names of functions.
class NoLeakHere {
 public:
  NoLeakHere() {
    if (__lsan_disable != nullptr) __lsan_disable();
  }
  ~NoLeakHere() {
    if (__lsan_enable != nullptr) __lsan_enable();
  }
  NoLeakHere(const NoLeakHere&) = delete;
  NoLeakHere& operator=(const NoLeakHere&) = delete;
};

constexpr int kHistorySize = 2000;
constexpr int kUsualWidth = 80;
// More choices than this are no help; the next letter is.
constexpr size_t kMaxChoices = 200;

// What happened to the terminal while we waited for a key.
std::atomic<bool> window_changed{false};
std::atomic<bool> continued{false};

void NoteSignal(int signal_number) {
  (signal_number == SIGWINCH ? window_changed : continued).store(true);
}

void NoteTerminalSignals() {
  struct sigaction action = {};
  action.sa_handler = NoteSignal;
  action.sa_flags = SA_RESTART;  // poll returns all the same
  sigaction(SIGWINCH, &action, nullptr);
  sigaction(SIGCONT, &action, nullptr);
}

int TerminalWidth() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return kUsualWidth;
  }
  return size.ws_col;
}

// After a stop and `fg` the terminal has the shell's settings.
void RestoreTerminal(EditLine* editor) {
  if (continued.exchange(false)) {
    el_set(editor, EL_PREP_TERM, 0);  // or it believes that nothing changed
    el_set(editor, EL_PREP_TERM, 1);
    el_set(editor, EL_REFRESH);
  }
  if (window_changed.exchange(false)) el_resize(editor);
}

// One byte of standard input: 1, 0 at its end, -1 when it is to stop. A signal
// that comes just before the wait would otherwise be seen at the next key.
int ReadByte(EditLine* editor, char* byte) {
  constexpr int kLookEveryMilliseconds = 100;
  while (true) {
    if (interrupt_requested.load()) return -1;
    RestoreTerminal(editor);
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, kLookEveryMilliseconds) <= 0) continue;
    if (interrupt_requested.load()) return -1;
    const ssize_t got = read(STDIN_FILENO, byte, 1);
    if (got >= 0) return static_cast<int>(got);
    if (errno != EINTR) return -1;
  }
}

// What the terminal gives for a Ctrl-D that came while it read whole lines,
// during work. libedit binds what is for unset control characters to it, last
// of all to take the next key as it is: a second Ctrl-D would not end the
// session.
constexpr char kEndTypedEarly = '\0';

// libedit's own reader tries again after any signal, so Ctrl-C could not end a
// line.
int ReadCharacter(EditLine* editor, wchar_t* character) {
  std::string bytes;
  while (true) {
    char byte;
    const int got = ReadByte(editor, &byte);
    if (got <= 0) return got;
    if (byte == kEndTypedEarly) continue;
    bytes += byte;
    const Utf8Character read = FirstCharacter(bytes);
    if (read.valid) {
      *character = static_cast<wchar_t>(read.code);
      return 1;
    }
    if (bytes.size() == 4 || (byte & 0xC0) == 0) bytes.clear();
  }
}

// libedit keeps its text wide; without a UTF-8 locale it could not give it
// back.
void SetUtf8Locale() {
  setlocale(LC_CTYPE, "");
  const wchar_t wide[] = L"\u00e9";
  char narrow[MB_LEN_MAX];
  if (std::wctomb(narrow, wide[0]) != 2) setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

LineEditor::LineEditor(std::string history_file, Completer completer)
    : history_file_(std::move(history_file)),
      completer_(std::move(completer)),
      history_(history_init()) {
  SetUtf8Locale();
  NoteTerminalSignals();
  RememberTerminalModes();
  editor_ = el_init("tl", stdin, stdout, stderr);
  Bind();
  HistEvent event;
  ::history(history_, &event, H_SETSIZE, kHistorySize);
  ::history(history_, &event, H_SETUNIQUE, 1);
  if (!history_file_.empty()) {
    ::history(history_, &event, H_LOAD, history_file_.c_str());
  }
}

LineEditor::~LineEditor() {
  el_end(editor_);
  history_end(history_);
}

void LineEditor::Bind() {
  el_set(editor_, EL_CLIENTDATA, this);
  el_set(editor_, EL_PROMPT, &LineEditor::Prompt);
  el_set(editor_, EL_EDITOR, "emacs");
  el_set(editor_, EL_HIST, ::history, history_);
  el_set(editor_, EL_GETCFN, &ReadCharacter);
  {
    const NoLeakHere kept_for_ever;
    el_set(editor_, EL_ADDFN, "tl-complete", "complete a name",
           &LineEditor::Complete);
  }
  el_set(editor_, EL_BIND, "^I", "tl-complete", nullptr);
  el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  // Up and down search among the lines that begin as this one does.
  el_set(editor_, EL_BIND, "^[[A", "ed-search-prev-history", nullptr);
  el_set(editor_, EL_BIND, "^[[B", "ed-search-next-history", nullptr);
  el_set(editor_, EL_BIND, "^[[1;5D", "ed-prev-word", nullptr);
  el_set(editor_, EL_BIND, "^[[1;5C", "em-next-word", nullptr);
  // The user's own bindings, as every program with libedit reads them.
  el_source(editor_, nullptr);
}

std::optional<std::string> LineEditor::Read(std::string prompt) {
  prompt_ = std::move(prompt);
  el_resize(editor_);
  // Before the prompt is shown: what is typed at once would be shown twice.
  el_set(editor_, EL_PREP_TERM, 1);
  int length = 0;
  const char* line = el_gets(editor_, &length);
  if (interrupt_requested.load()) {
    el_reset(editor_);
    std::clearerr(stdout);  // what it interrupted is shown again
    std::fputs("\n", stdout);
    PollInterrupt();
  }
  if (!line || length <= 0) return std::nullopt;
  std::string text(line, static_cast<size_t>(length));
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void LineEditor::AddToHistory(const std::string& line) {
  HistEvent event;
  ::history(history_, &event, H_ENTER, line.c_str());
  if (!history_file_.empty()) SaveHistory();
}

// libedit writes where it is told to, line by line: the file of before stays until
// all of the next is there. Where that fails the prompt goes on without.
void LineEditor::SaveHistory() {
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::path file = fs::weakly_canonical(history_file_, failed);
  if (failed) return;
  const std::string next = fmt::format("{}.{}.partial", file.string(), getpid());
  HistEvent event;
  const bool saved = ::history(history_, &event, H_SAVE, next.c_str()) >= 0;
  if (saved) fs::rename(next, file, failed);
  if (!saved || failed) fs::remove(next, failed);
}

LineEditor& LineEditor::Of(editline* editor) {
  void* self = nullptr;
  el_get(editor, EL_CLIENTDATA, &self);
  return *static_cast<LineEditor*>(self);
}

char* LineEditor::Prompt(editline* editor) { return Of(editor).prompt_.data(); }

unsigned char LineEditor::Complete(editline* editor, int) {
  LineEditor& self = Of(editor);
  const LineInfo* info = el_line(editor);
  const std::string_view before(info->buffer, info->cursor - info->buffer);
  const Completion found = self.completer_(before);
  if (found.words.empty()) return CC_REFRESH_BEEP;
  std::string text = CommonBeginning(found.words);
  if (found.words.size() == 1) text += found.after;
  const std::string_view typed = before.substr(found.begin);
  if (text == typed) {
    if (found.words.size() == 1) return CC_NORM;
    self.ShowChoices(found.words);
    return CC_REDISPLAY;
  }
  el_deletestr(editor, static_cast<int>(CountCharacters(typed)));
  el_insertstr(editor, text.c_str());
  return CC_REFRESH;
}

void LineEditor::ShowChoices(const std::vector<std::string>& words) {
  std::vector<std::string> shown;
  for (const std::string& word : words) shown.push_back(Printable(word));
  fmt::print("\n{}", InColumns(shown, TerminalWidth()));
  std::fflush(stdout);
}

std::string HistoryFile(const std::string& name) {
  namespace fs = std::filesystem;
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  fs::path folder;
  if (state && *state) {
    folder = state;
  } else if (home && *home) {
    folder = fs::path(home) / ".local" / "state";
  } else {
    return "";
  }
  folder /= "tensorlogic";
  std::error_code failed;
  if (fs::create_directories(folder, failed)) {
    fs::permissions(folder, fs::perms::owner_all, failed);
  }
  return fs::is_directory(folder, failed) ? (folder / name).string() : "";
}

std::string CommonBeginning(const std::vector<std::string>& words) {
  std::string common = words.empty() ? "" : words[0];
  for (const std::string& word : words) {
    const auto end =
        std::mismatch(common.begin(), common.end(), word.begin(), word.end());
    common.erase(end.first, common.end());
  }
  // Not in the middle of a character.
  while (!common.empty() && common.size() < words[0].size() &&
         (words[0][common.size()] & 0xC0) == 0x80) {
    common.pop_back();
  }
  return common;
}

std::string InColumns(const std::vector<std::string>& words, int width) {
  const size_t shown = std::min(words.size(), kMaxChoices);
  size_t widest = 0;
  for (size_t i = 0; i < shown; ++i) {
    widest = std::max(widest, CountCharacters(words[i]));
  }
  constexpr size_t kGap = 2;
  const size_t columns = std::clamp<size_t>(
      (static_cast<size_t>(width) + kGap) / (widest + kGap), 1, shown + 1);
  const size_t rows = (shown + columns - 1) / columns;
  std::string text;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = row; i < shown; i += rows) {
      text += words[i];
      if (i + rows >= shown) break;
      text.append(widest + kGap - CountCharacters(words[i]), ' ');
    }
    text += '\n';
  }
  if (shown < words.size()) {
    text += fmt::format("and {} more\n", words.size() - shown);
  }
  return text;
}

}  // namespace tl
