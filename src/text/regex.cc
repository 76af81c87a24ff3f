#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace tl {
namespace {

// For patterns like (?:a|b)*, which keep a place to return to for each round.
constexpr size_t kJitStackStart = 32 << 10;
constexpr size_t kJitStackMost = 64 << 20;

std::string MessageOf(int code) {
  PCRE2_UCHAR buffer[160];
  if (pcre2_get_error_message(code, buffer, sizeof(buffer)) < 0) {
    return fmt::format("error {}", code);
  }
  return reinterpret_cast<const char*>(buffer);
}

// What matching needs beside the pattern, one for each thread.
struct Scratch {
  Scratch()
      : stack(pcre2_jit_stack_create(kJitStackStart, kJitStackMost, nullptr)),
        context(pcre2_match_context_create(nullptr)),
        // Only the bounds of the whole match are asked for.
        match(pcre2_match_data_create(1, nullptr)) {
    if (stack == nullptr || context == nullptr || match == nullptr) {
      Fail(ErrorKind::kInternal, "no memory for regular expressions");
    }
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }

  pcre2_jit_stack* stack;
  pcre2_match_context* context;
  pcre2_match_data* match;
};

Scratch& ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    const bool word = std::isalnum(static_cast<unsigned char>(c)) ||
                      static_cast<uint8_t>(c) >= 0x80;
    if (c == '\0') {
      escaped += "\\x00";
      continue;
    }
    if (!word) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

struct Regex::Compiled {
  ~Compiled() { pcre2_code_free(code); }

  std::string pattern;
  pcre2_code* code = nullptr;
};

Regex::Regex(std::string_view pattern) : Regex(pattern, ToPcre(pattern)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Regex Regex::Literal(std::string_view text) {
  return Regex(text, Escaped(text));
}

// ^ and $ are of lines, as in Oniguruma.
Regex::Regex(std::string_view pattern, std::string_view translated)
    : compiled_(std::make_unique<Compiled>()) {
  const std::unique_ptr<pcre2_compile_context,
                        decltype(&pcre2_compile_context_free)>
      context(pcre2_compile_context_create(nullptr),
              &pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE place = 0;
  compiled_->pattern = pattern;
  compiled_->code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &place, context.get());
  if (compiled_->code == nullptr) {
    Fail(ErrorKind::kInput, "the pattern '{}' is no regular expression: {}",
         pattern, MessageOf(error));
  }
  // Where there is no JIT, matching is slower and no different.
  pcre2_jit_compile(compiled_->code, PCRE2_JIT_COMPLETE);
}

std::vector<TextSpan> Regex::Cut(std::string_view text) const {
  std::vector<TextSpan> spans;
  Scratch& scratch = ThreadScratch();
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(scratch.match);
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t done = 0;
  size_t from = 0;
  while (from <= text.size()) {
    int found = pcre2_match(compiled_->code, subject, text.size(), from,
                            PCRE2_NO_UTF_CHECK, scratch.match, scratch.context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(compiled_->code, subject, text.size(), from,
                          PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, scratch.match,
                          scratch.context);
    }
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      Fail(ErrorKind::kInput,
           "the pattern '{}' cannot be matched at byte {} of {}: {}",
           compiled_->pattern, from, text.size(), MessageOf(found));
    }
    // With \K in a lookahead a match may end before it begins.
    const size_t begin = std::max(bounds[0], done);
    const size_t end = std::max(bounds[1], begin);
    if (begin > done) spans.push_back({done, begin, false});
    spans.push_back({begin, end, true});
    done = end;
    from = end;
    if (begin == end) from += from < text.size() ? Utf8Size(text[from]) : 1;
  }
  if (done < text.size()) spans.push_back({done, text.size(), false});
  return spans;
}

}  // namespace tl
