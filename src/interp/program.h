// Running programs: from text over checking and compiling to the machine. What
// commands of `tl` use; one Interpreter is one run, or one session of the REPL.
// Diagnostics are reported, not thrown; run-time errors are thrown as Error,
// Ctrl-C as Interrupted (base/interrupt.h).
// Read next: compiler.h, vm.h.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "interp/compiler.h"
#include "interp/disk_files.h"
#include "interp/models.h"
#include "interp/output.h"
#include "interp/tensor_runtime.h"
#include "interp/tensors.h"
#include "interp/vm.h"
#include "lang/loader.h"
#include "lang/signature.h"

namespace tl {

struct RunOptions {
  TensorOptions tensors = {};
  std::vector<std::string> arguments = {};  // args()
  LineReader read_line = {};                // input(), if not standard input
  std::string library = {};                 // folder of `import std.NAME`
  // Gets rendered diagnostics; standard error if empty.
  std::function<void(std::string_view)> report;
};

struct TestResult {
  std::string name;
  std::optional<Error> failure;
};

class Interpreter {
 public:
  Interpreter(RunOptions options, Output& output);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Each checks first and runs only a program without errors. The exit status:
  // 0, 65 if there were errors, or what exit() asked for.
  int RunFile(const std::string& path);
  int RunText(std::string name, std::string text);
  int CheckFile(const std::string& path);  // does not run
  // Runs the top level without main, then each test; `on_result` sees each as
  // it ends. 65 if one failed.
  int RunTests(const std::string& path,
               const std::function<void(const TestResult&)>& on_result);

  // One entry of a session. Names stay for the next; a failed entry leaves the
  // session as far as it got.
  struct Entry {
    bool accepted = false;             // no diagnosed errors
    std::optional<std::string> shown;  // the value of a last expression
    std::optional<int> exit;           // exit() was called
  };
  Entry RunEntry(std::string text);

  // "mlp.tl:7:12": where a computation stands in the program.
  std::string Where(Location location) const;

  // What a session's names mean, for completion.
  std::vector<std::string> Names() const;
  std::optional<MemberOwner> KindOf(const std::string& variable) const;
  // Of the model in the variable; empty if it holds none.
  std::vector<std::string> TensorNames(const std::string& variable) const;

 private:
  // Nothing if there were errors, which have been reported.
  std::optional<LoadedProgram> Load(std::string name, std::string text,
                                    const std::string& path, TopLevel kind);
  uint16_t Compile(const LoadedProgram& program, TopLevel kind);
  int Run(uint16_t module);
  int RunSource(std::string name, std::string text, const std::string& path);
  const Value* FindValue(const std::string& variable) const;
  void Report(const Diagnostics& diagnostics);
  void Finish();
  void ForgetEntries();

  struct Module {
    uint16_t number = 0;
    TopLevelNames names;
  };

  RunOptions options_;
  Output& output_;
  DiskFiles files_;
  Sources sources_;
  std::unique_ptr<TensorRuntime> runtime_;
  std::unique_ptr<Tensors> tensors_;
  std::unique_ptr<Models> models_;
  ProgramCode program_;
  std::unordered_set<uint32_t> passing_sources_;  // of entries, until forgotten
  std::unique_ptr<Vm> vm_;
  std::unordered_map<std::string, Module> modules_;  // by canonical path
  TopLevelNames names_;                              // of the program itself
};

}  // namespace tl
