// Any bytes as a program: lexed, parsed, checked and formatted. None of these
// may throw or crash, whatever the text. What formats must format again to the
// same text, and have the same tokens and comments. Reads no file.

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lang/ast_print.h"
#include "lang/checker.h"
#include "lang/diagnostics.h"
#include "lang/format.h"
#include "lang/lexer.h"
#include "lang/loader.h"
#include "lang/parser.h"
#include "lang/source.h"
#include "promises.h"

namespace tl {
namespace {

// Every import finds the same small module.
class OneModule : public ModuleFiles {
 public:
  std::optional<std::string> Read(const std::string& /*path*/) override {
    return "let imported = 1\nfn twice(x: float16[N]) { return x * 2 }\n";
  }
  std::optional<std::string> FindModule(std::string_view name) override {
    return std::string(name);
  }
  std::string Canonical(const std::string& path) override { return path; }
};

// Every model file has the same few tensors.
class OneHeader : public HeaderSource {
 public:
  std::shared_ptr<const ModelHeader> Find(
      const std::string& /*path*/) override {
    return header_;
  }

 private:
  std::shared_ptr<const ModelHeader> header_ =
      std::make_shared<ModelHeader>(ModelHeader{{
          {"fc1.weight", "F16", {128, 64}},
          {"fc1.bias", "F32", {128}},
          {"scalar", "BF16", {}},
          {"labels", "I64", {360}, false},
          {"deep", "F16", {1, 2, 3, 4, 5, 6, 7, 8, 9}},
      }});
};

// What formatting may not change.
std::string TokensAndComments(const Source& source) {
  Diagnostics diagnostics;
  const LexedText lexed = Lex(source, diagnostics);
  std::string all;
  for (const Token& token : lexed.tokens) {
    const bool begins_line =
        token.newline_before && token.kind != TokenKind::kEnd;
    if (begins_line && !all.empty()) all += '\n';
    all.append(source.Text(token.span)) += ' ';
  }
  for (const Comment& comment : lexed.comments) {
    const std::string_view text = source.Text(comment.span);
    all.append(text.substr(0, text.find_last_not_of(" \t\r") + 1)) += '\n';
  }
  return all;
}

void CheckText(const std::string& text, CheckOptions::Mode mode) {
  Sources sources;
  Diagnostics diagnostics;
  OneModule files;
  OneHeader headers;
  const Source& source = sources.Add("input.tl", text);
  const LoadedProgram program =
      LoadProgram(source, "", files, sources, diagnostics);
  Check(program, {.headers = &headers, .mode = mode}, diagnostics);
  Render(diagnostics, sources);
}

void FormatText(const std::string& text) {
  Sources sources;
  Diagnostics diagnostics;
  const Source& source = sources.Add("input.tl", text);
  Print(Parse(source, diagnostics));
  const bool parses = diagnostics.errors() == 0;
  const auto once = Format(source, diagnostics);
  Promise(once.has_value() == parses, "what parses formats, and nothing else");
  if (!once) return;
  const Source& formatted = sources.Add("once.tl", *once);
  Promise(Format(formatted, diagnostics) == once,
          "formatting twice gives the same as once");
  Promise(TokensAndComments(formatted) == TokensAndComments(source),
          "formatting keeps tokens and comments");
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tl::Budget budget(size);
  const std::string text(reinterpret_cast<const char*>(data), size);
  tl::CheckText(text, tl::CheckOptions::Mode::kProgram);
  tl::CheckText(text, tl::CheckOptions::Mode::kSession);
  tl::FormatText(text);
  tl::IsUnfinished(text);
  return 0;
}
