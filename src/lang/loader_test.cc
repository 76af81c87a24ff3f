#include "lang/loader.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "lang/ast_print.h"

namespace tl {
namespace {

class FakeFiles : public ModuleFiles {
 public:
  explicit FakeFiles(std::map<std::string, std::string> texts)
      : texts_(std::move(texts)) {}

  std::optional<std::string> Read(const std::string& path) override {
    if (path == "locked.tl") Fail(ErrorKind::kInput, "{}: locked", path);
    auto found = texts_.find(path);
    if (found == texts_.end()) return std::nullopt;
    return found->second;
  }
  std::optional<std::string> FindModule(std::string_view name) override {
    if (name == "std.llama") return "lib/llama.tl";
    return std::nullopt;
  }
  std::string Canonical(const std::string& path) override {
    return path.starts_with("./") ? path.substr(2) : path;
  }

 private:
  std::map<std::string, std::string> texts_;
};

// The paths in running order, each with the numbers of its imports; then the
// faults.
std::string Loaded(std::map<std::string, std::string> texts) {
  std::string main = texts.at("main.tl");
  FakeFiles files(std::move(texts));
  Sources sources;
  Diagnostics diagnostics;
  LoadedProgram program = LoadProgram(sources.Add("main.tl", main), "main.tl",
                                      files, sources, diagnostics);
  std::string shown;
  for (const LoadedModule& module : program.modules) {
    shown += module.path;
    for (size_t import : module.imports) shown += " " + std::to_string(import);
    shown += '\n';
  }
  return shown + Render(diagnostics, sources);
}

TEST(Loader, OrdersFilesAfterWhatTheyImport) {
  EXPECT_EQ(Loaded({{"main.tl", "import \"a.tl\"\nimport \"b.tl\""},
                    {"a.tl", "import \"./b.tl\"\nimport std.llama"},
                    {"b.tl", "x = 1"},
                    {"lib/llama.tl", "import \"layers.tl\""},
                    {"lib/layers.tl", ""}}),
            "b.tl\nlib/layers.tl\nlib/llama.tl 1\na.tl 0 2\nmain.tl 3 0\n");
}

TEST(Loader, ShowsACycle) {
  EXPECT_EQ(Loaded({{"main.tl", "import \"a.tl\""},
                    {"a.tl", "import \"b.tl\""},
                    {"b.tl", "import \"a.tl\""}}),
            "b.tl\na.tl 0\nmain.tl 1\n"
            "b.tl:1:8: error: files import each other in a circle: a.tl -> "
            "b.tl -> a.tl\n"
            "  import \"a.tl\"\n"
            "         ^~~~~~\n");
}

TEST(Loader, SaysWhyAFileIsNotRead) {
  EXPECT_EQ(Loaded({{"main.tl", "import \"locked.tl\""}}),
            "main.tl\n"
            "main.tl:1:8: error: locked.tl: locked\n"
            "  import \"locked.tl\"\n"
            "         ^~~~~~~~~~~\n");
}

TEST(Loader, RefusesWhatIsNotThere) {
  EXPECT_EQ(Loaded({{"main.tl", "import \"lib/a.tl\"\nimport std.lama"}}),
            "main.tl\n"
            "main.tl:1:8: error: there is no file 'lib/a.tl' to import\n"
            "  import \"lib/a.tl\"\n"
            "         ^~~~~~~~~~\n"
            "main.tl:2:8: error: the library has no module 'std.lama'\n"
            "  import std.lama\n"
            "         ^~~~~~~~\n"
            "  hint: a file is imported by its path in quotes: import "
            "\"layers.tl\"\n");
}

TEST(Loader, ReportsFaultsOfImportedFilesInTheirOwnText) {
  EXPECT_EQ(Loaded({{"main.tl", "import \"a.tl\""}, {"a.tl", "let 1"}}),
            "a.tl\nmain.tl 0\n"
            "a.tl:1:5: error: unexpected '1'; expected a name after 'let'\n"
            "  let 1\n"
            "      ^\n");
}

}  // namespace
}  // namespace tl
