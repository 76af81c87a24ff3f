#include "format/coreml_compiled.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "format/compiled_metadata.h"
#include "format/coreml_loader.h"
#include "format/coreml_messages.h"
#include "format/espresso.h"
#include "format/mil_text.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

// A program of 30,000 operations has 10 MB.
constexpr int64_t kMaxProgram = 256 << 20;

constexpr char kProgram[] = "model.mil";

Model LoadProgram(const std::string& path) {
  const std::string mil = (fs::path(path) / kProgram).string();
  auto text = MappedFile::Open(mil);
  if (text->size() > kMaxProgram) {
    Fail(ErrorKind::kInput, "{}: {} bytes, at most {} are read", mil,
         text->size(), kMaxProgram);
  }
  auto messages = std::make_shared<CoreMlMessages>(mil, text->size());
  coreml::spec::Model& spec = messages->model();
  ReadMilText(mil,
              {reinterpret_cast<const char*>(text->bytes().data()),
               text->bytes().size()},
              *messages);
  const std::string metadata = (fs::path(path) / "metadata.json").string();
  std::error_code error;
  if (fs::exists(metadata, error)) {
    ReadCompiledMetadata(metadata, spec);
  } else {
    DescribeProgram(spec);
  }
  return CoreMlLoader(path, CoreMlMessages::ModelOf(std::move(messages)),
                      std::move(text), path)
      .Load();
}

}  // namespace

bool IsCompiledCoreMl(const std::vector<std::string>& names) {
  return std::ranges::any_of(names, [](const std::string& name) {
    return name == "coremldata.bin" || name == kProgram || name == kEspressoNet;
  });
}

Model LoadCompiledCoreMl(const std::string& path) {
  const auto has = [&](const char* name) {
    std::error_code error;
    return fs::exists(fs::path(path) / name, error);
  };
  if (has(kProgram)) return LoadProgram(path);
  if (has(kEspressoNet)) return LoadEspresso(path);
  Fail(ErrorKind::kInput,
       "{}: is a compiled CoreML model with neither a program ({}) nor a "
       "network ({}), as a pipeline or a tree is; use the model that it was "
       "compiled from",
       path, kProgram, kEspressoNet);
}

}  // namespace tl
