#include "cli/terminal.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/printable.h"

namespace tl {
namespace {

constexpr std::string_view kPlain = "\x1b[0m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kRed = "\x1b[1;31m";
constexpr std::string_view kMagenta = "\x1b[1;35m";
constexpr std::string_view kCyan = "\x1b[1;36m";
constexpr std::string_view kGreen = "\x1b[1;32m";

struct Mark {
  std::string_view text;
  std::string_view colour;
};

constexpr std::array kSeverities = {
    Mark{"error: ", kRed}, Mark{"warning: ", kMagenta}, Mark{"note: ", kCyan}};

std::string Painted(std::string_view text, std::string_view colour) {
  return fmt::format("{}{}{}", colour, text, kPlain);
}

// "  ^~~~"
bool IsCaretLine(std::string_view line) {
  return line.find('^') != std::string_view::npos &&
         line.find_first_not_of(" ^~") == std::string_view::npos;
}

// A line that begins with a severity, or with a place and a severity.
std::string PaintHeadline(std::string_view line) {
  for (const Mark& mark : kSeverities) {
    const size_t at = line.find(mark.text);
    const bool after_place = at != std::string_view::npos && at >= 2 &&
                             line.substr(at - 2, 2) == ": ";
    if (at != 0 && !after_place) continue;
    const size_t end = at + mark.text.size();
    return fmt::format("{}{}{}",
                       at == 0 ? "" : Painted(line.substr(0, at), kBold),
                       Painted(line.substr(at, mark.text.size()), mark.colour),
                       line.substr(end));
  }
  return std::string(line);
}

std::string PaintLine(std::string_view line) {
  if (IsCaretLine(line)) return Painted(line, kGreen);
  constexpr std::string_view kHint = "  hint: ";
  if (line.starts_with(kHint)) {
    return Painted(kHint, kCyan) + std::string(line.substr(kHint.size()));
  }
  return line.starts_with(' ') ? std::string(line) : PaintHeadline(line);
}

}  // namespace

bool StandardErrorHasColour() {
  static const bool has_colour = [] {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && (!no_color || !*no_color) && term &&
           std::string_view(term) != "dumb";
  }();
  return has_colour;
}

std::string WithColour(std::string_view rendered) {
  std::string text;
  while (!rendered.empty()) {
    const size_t end = rendered.find('\n');
    text += PaintLine(rendered.substr(0, end));
    if (end == std::string_view::npos) break;
    text += '\n';
    rendered.remove_prefix(end + 1);
  }
  return text;
}

void PrintDiagnostics(std::string_view rendered) {
  const std::string shown = PrintableLines(rendered);
  fmt::print(stderr, "{}", StandardErrorHasColour() ? WithColour(shown) : shown);
}

void PrintError(const Error& error) {
  std::string text = fmt::format("error: {}\n", error.text());
  for (const std::string& note : error.notes()) {
    text += fmt::format("note: {}\n", note);
  }
  PrintDiagnostics(text);
}

}  // namespace tl
