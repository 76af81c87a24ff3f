#include "interp/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "interp/format_value.h"
#include "lang/checker.h"

namespace tl {
namespace {

constexpr int kProgramStatus = static_cast<int>(ErrorKind::kProgram);

// An entry that does not come to its end has failed.
class EntryScope {
 public:
  explicit EntryScope(TensorRuntime& runtime) : runtime_(runtime) {}
  ~EntryScope() { runtime_.EndEntry(failed_); }
  EntryScope(const EntryScope&) = delete;
  EntryScope& operator=(const EntryScope&) = delete;
  void Succeed() { failed_ = false; }

 private:
  TensorRuntime& runtime_;
  bool failed_ = true;
};

}  // namespace

Interpreter::Interpreter(RunOptions options, Output& output)
    : options_(std::move(options)),
      output_(output),
      files_(options_.library),
      runtime_(std::make_unique<TensorRuntime>(options_.tensors, sources_)),
      tensors_(std::make_unique<Tensors>(*runtime_)),
      models_(std::make_unique<Models>(*runtime_)),
      vm_(std::make_unique<Vm>(
          program_, sources_, *tensors_, *models_, output_,
          Environment{options_.arguments, options_.read_line})) {}

Interpreter::~Interpreter() = default;

void Interpreter::Report(const Diagnostics& diagnostics) {
  const std::string text = Render(diagnostics, sources_);
  if (text.empty()) return;
  if (options_.report) {
    options_.report(text);
  } else {
    fmt::print(stderr, "{}", text);
  }
}

std::optional<LoadedProgram> Interpreter::Load(std::string name,
                                               std::string text,
                                               const std::string& path,
                                               TopLevel kind) {
  Diagnostics diagnostics;
  const Source& source = sources_.Add(std::move(name), std::move(text));
  LoadedProgram program =
      LoadProgram(source, path, files_, sources_, diagnostics);
  const std::vector<std::string> known = Names();
  CheckOptions options;
  options.headers = models_.get();
  if (kind == TopLevel::kSession) {
    options.known_names = known;
    options.mode = CheckOptions::Mode::kSession;
  }
  Check(program, options, diagnostics);
  Report(diagnostics);
  if (diagnostics.errors() > 0) return std::nullopt;
  return program;
}

uint16_t Interpreter::Compile(const LoadedProgram& program, TopLevel kind) {
  std::vector<Module*> compiled;
  const auto imports_of = [&](const LoadedModule& module) {
    ImportedModules imports;
    for (size_t import : module.imports) {
      imports.push_back({compiled[import]->number, &compiled[import]->names});
    }
    return imports;
  };
  for (size_t i = 0; i + 1 < program.modules.size(); ++i) {
    const LoadedModule& loaded = program.modules[i];
    const auto [entry, is_new] = modules_.try_emplace(loaded.path);
    Module& module = entry->second;
    if (is_new) {
      module.number =
          CompileModule(loaded.tree, TopLevel::kModule, imports_of(loaded),
                        sources_, module.names, program_);
      passing_sources_.erase(loaded.tree.source);
    }
    compiled.push_back(&module);
  }
  const LoadedModule& main = program.modules.back();
  return CompileModule(main.tree, kind, imports_of(main), sources_, names_,
                       program_);
}

void Interpreter::Finish() {
  output_.Flush();
  models_->ReportLosses();
}

int Interpreter::Run(uint16_t module) {
  try {
    vm_->RunModule(module);
  } catch (const ExitRequest& exit) {
    Finish();
    return exit.code;
  } catch (...) {
    output_.Flush();
    throw;
  }
  Finish();
  return 0;
}

int Interpreter::RunSource(std::string name, std::string text,
                           const std::string& path) {
  const std::optional<LoadedProgram> program =
      Load(std::move(name), std::move(text), path, TopLevel::kProgram);
  if (!program) return kProgramStatus;
  return Run(Compile(*program, TopLevel::kProgram));
}

int Interpreter::RunFile(const std::string& path) {
  return RunSource(path, ReadProgram(path), files_.Canonical(path));
}

int Interpreter::RunText(std::string name, std::string text) {
  return RunSource(std::move(name), std::move(text), "");
}

int Interpreter::CheckFile(const std::string& path) {
  const bool good =
      Load(path, ReadProgram(path), files_.Canonical(path), TopLevel::kProgram)
          .has_value();
  return good ? 0 : kProgramStatus;
}

int Interpreter::RunTests(
    const std::string& path,
    const std::function<void(const TestResult&)>& on_result) {
  const std::optional<LoadedProgram> program =
      Load(path, ReadProgram(path), files_.Canonical(path), TopLevel::kProgram);
  if (!program) return kProgramStatus;
  // As a module that is imported: its main does not run.
  const uint16_t module = Compile(*program, TopLevel::kModule);
  int status = Run(module);
  if (status != 0) return status;
  runtime_->EndEntry(false);
  for (const TestCode& test : program_.modules[module].tests) {
    TestResult result{test.name, std::nullopt};
    try {
      EntryScope scope(*runtime_);
      vm_->Run(*test.code);
      scope.Succeed();
    } catch (const Error& error) {
      result.failure = error;
      status = kProgramStatus;
    }
    output_.Flush();
    on_result(result);
  }
  return status;
}

// What nothing leads to any more: code that no value of the program can call,
// texts in which neither code nor a pending computation stands.
void Interpreter::ForgetEntries() {
  program_.DropUnused();
  std::unordered_set<uint32_t> spoken_of;
  for (const Ref<CodeUnit>& unit : program_.units) {
    spoken_of.insert(unit->source);
  }
  runtime_->AddPendingSources(spoken_of);
  std::erase_if(passing_sources_, [&](uint32_t id) {
    const bool goes = !spoken_of.contains(id);
    if (goes) sources_.Drop(id);
    return goes;
  });
}

Interpreter::Entry Interpreter::RunEntry(std::string text) {
  ForgetEntries();
  Entry entry;
  const uint32_t first_source = sources_.next_id();
  const std::optional<LoadedProgram> program =
      Load("input", std::move(text), "", TopLevel::kSession);
  for (uint32_t id = first_source; id < sources_.next_id(); ++id) {
    passing_sources_.insert(id);
  }
  if (!program) return entry;
  entry.accepted = true;
  const uint16_t module = Compile(*program, TopLevel::kSession);
  EntryScope scope(*runtime_);
  try {
    const Value value = vm_->Run(*program_.modules[module].top_level);
    if (!value.is_none()) {
      entry.shown = value.is_string() ? Quoted(value.as_string())
                                      : ToText(*tensors_, value);
    }
  } catch (const ExitRequest& exit) {
    entry.exit = exit.code;
  }
  scope.Succeed();
  output_.Flush();
  return entry;
}

std::vector<std::string> Interpreter::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, slot] : names_.globals) names.push_back(name);
  for (const auto& [name, index] : names_.functions) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string Interpreter::Where(Location location) const {
  return runtime_->Describe(location);
}

const Value* Interpreter::FindValue(const std::string& variable) const {
  const auto slot = names_.globals.find(variable);
  return slot == names_.globals.end() ? nullptr : vm_->FindGlobal(slot->second);
}

std::optional<MemberOwner> Interpreter::KindOf(
    const std::string& variable) const {
  const Value* value = FindValue(variable);
  if (value == nullptr) return std::nullopt;
  if (value->is_tensor()) return MemberOwner::kTensor;
  if (value->is_list()) return MemberOwner::kList;
  if (value->is_map()) return MemberOwner::kMap;
  if (value->is_handle()) {
    if (value->as_handle().type() == TypeKind::kModel) {
      return MemberOwner::kModel;
    }
    if (value->as_handle().type() == TypeKind::kCache) {
      return MemberOwner::kCache;
    }
    if (value->as_handle().type() == TypeKind::kTokenizer) {
      return MemberOwner::kTokenizer;
    }
  }
  return std::nullopt;
}

std::vector<std::string> Interpreter::TensorNames(
    const std::string& variable) const {
  std::vector<std::string> names;
  const Value* value = FindValue(variable);
  if (value == nullptr || !Models::IsModel(*value)) return names;
  for (const Value& name : value->as_handle().Items()) {
    names.push_back(name.as_string());
  }
  return names;
}

}  // namespace tl
