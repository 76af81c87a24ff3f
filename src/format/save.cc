#include "format/save.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/replace_file.h"
#include "format/gguf_split.h"
#include "format/gguf_writer.h"
#include "format/hf_metadata.h"
#include "format/metadata_text.h"
#include "format/safetensors_writer.h"
#include "format/shards.h"

namespace tl {
namespace {

constexpr char kTokenizerFile[] = "tokenizer.json";

using Companions = std::vector<std::pair<std::string, std::string>>;

std::filesystem::path FolderOf(const std::string& path) {
  return std::filesystem::path(path).parent_path();
}

// One file of a model.
struct Part {
  std::string path;
  std::vector<OutputTensor> tensors;
  Metadata metadata;
  std::string header;
};

void MakeHeader(Part& part, FileFormat format) {
  switch (format) {
    case FileFormat::kSafeTensors:
      SortForSafeTensors(part.tensors);
      part.header = SafeTensorsHeaderBytes(part.tensors, part.metadata);
      return;
    case FileFormat::kGguf:
      part.header = GgufHeaderBytes(part.tensors, part.metadata);
      return;
  }
}

int64_t FileBytes(const Part& part, FileFormat format) {
  if (format == FileFormat::kGguf) {
    return GgufBytes(part.tensors, part.header, part.metadata);
  }
  const auto bytes = CheckedAdd(TotalBytes(part.tensors),
                                static_cast<int64_t>(part.header.size()));
  if (!bytes) FailTooLarge();
  return *bytes;
}

std::vector<int64_t> WritePart(const Part& part, FileFormat format,
                               ReplaceFile& out, Progress& progress) {
  switch (format) {
    case FileFormat::kSafeTensors:
      return WriteSafeTensors(part.tensors, part.header, out, progress);
    case FileFormat::kGguf:
      return WriteGguf(part.tensors, part.header, part.metadata, out, progress);
  }
  return {};
}

// Files that get their names together; only the last may replace another. What
// fails before that has its name takes back the names that were given.
class FileSet {
 public:
  ReplaceFile& Open(const std::string& path, int64_t bytes) {
    files_.push_back({path, std::make_unique<ReplaceFile>(path, bytes)});
    return *files_.back().file;
  }

  void Commit() {
    try {
      for (const Entry& entry : files_) entry.file->Commit();
    } catch (...) {
      if (!files_.back().file->has_its_name()) TakeBack();
      throw;
    }
  }

 private:
  struct Entry {
    std::string path;
    std::unique_ptr<ReplaceFile> file;
  };

  void TakeBack() {
    std::error_code ignored;
    for (const Entry& entry : files_) {
      if (!entry.file->has_its_name()) continue;
      std::filesystem::remove(entry.path, ignored);
    }
  }

  std::vector<Entry> files_;
};

std::vector<std::vector<OutputTensor>> Split(std::vector<OutputTensor> tensors,
                                             int64_t shard_bytes) {
  std::vector<std::vector<OutputTensor>> parts(1);
  int64_t bytes = 0;
  for (OutputTensor& tensor : tensors) {
    if (!parts.back().empty() && tensor.bytes > shard_bytes - bytes) {
      parts.emplace_back();
      bytes = 0;
    }
    bytes += tensor.bytes;
    parts.back().push_back(std::move(tensor));
  }
  return parts;
}

std::string Stem(const std::string& path) {
  return path.substr(0, path.rfind('.'));
}

// "out-00002-of-00003.gguf"; `number` counts from 1.
std::string ShardPath(const std::string& path, size_t number, size_t count) {
  return fmt::format("{}-{:05}-of-{:05}{}", Stem(path), number, count,
                     path.substr(path.rfind('.')));
}

std::string IndexPath(const std::string& path) { return path + ".index.json"; }

std::string IndexJson(const std::vector<Part>& parts) {
  std::map<std::string, std::string> files;
  int64_t total = 0;
  for (const Part& part : parts) {
    total += TotalBytes(part.tensors);  // WorkOf() saw that the sum fits
    const std::string file =
        std::filesystem::path(part.path).filename().string();
    for (const OutputTensor& tensor : part.tensors) files[tensor.name] = file;
  }
  std::string json = fmt::format(
      "{{\n  \"metadata\": {{\n    \"total_size\": {}\n  }},\n"
      "  \"weight_map\": {{",
      total);
  for (bool first = true; const auto& [name, file] : files) {
    json += std::exchange(first, false) ? "\n    " : ",\n    ";
    AppendJsonString(json, name);
    json += ": ";
    AppendJsonString(json, file);
  }
  return json + "\n  }\n}\n";
}

std::vector<Part> MakeParts(OutputModel output, const std::string& path,
                            FileFormat format, int64_t shard_bytes) {
  const size_t tensors = output.tensors.size();
  auto split = Split(std::move(output.tensors), shard_bytes);
  std::vector<Part> parts;
  for (size_t i = 0; i < split.size(); ++i) {
    Part part;
    part.path = split.size() == 1 ? path : ShardPath(path, i + 1, split.size());
    part.tensors = std::move(split[i]);
    part.metadata = output.metadata;
    if (split.size() > 1 && format == FileFormat::kGguf) {
      part.metadata =
          MetadataOfPart(output.metadata, {i, split.size(), tensors});
    }
    MakeHeader(part, format);
    parts.push_back(std::move(part));
  }
  return parts;
}

// Texts beside the model. One that is there already belongs to another model,
// unless it is the same.
void WriteCompanions(const Companions& companions, const std::string& path,
                     FileSet& files) {
  const std::filesystem::path folder = FolderOf(path);
  for (const auto& [name, text] : companions) {
    const std::string target = (folder / name).string();
    std::error_code ignored;
    if (std::filesystem::exists(target, ignored)) {
      if (ReadTextFile(target, kMaxFileBeside) == text) continue;
      Fail(ErrorKind::kInput,
           "{}: is there already; write the model into a folder of its own",
           target);
    }
    files.Open(target, static_cast<int64_t>(text.size()))
        .Write(std::as_bytes(std::span(text)));
  }
}

void CheckFolder(const std::string& path) {
  const std::filesystem::path folder = FolderOf(path);
  std::error_code ignored;
  if (folder.empty() || std::filesystem::exists(folder, ignored)) return;
  Fail(ErrorKind::kInput, "{}: the folder '{}' does not exist", path,
       folder.string());
}

// With room for headers and padding.
void CheckSize(const OutputModel& output, const std::string& path) {
  constexpr int64_t kMaxBytes = int64_t{1} << 62;
  std::optional<int64_t> total = 0;
  for (const OutputTensor& tensor : output.tensors) {
    if (total) total = CheckedAdd(*total, tensor.bytes);
  }
  if (total && *total <= kMaxBytes) return;
  Fail(ErrorKind::kInput, "{}: the tensors need more than 2^62 bytes", path);
}

// Beside the index of another model's files the new ones would not be found,
// and those of the old that are not replaced would stay for ever.
void CheckStaleShards(const std::vector<Part>& parts, const std::string& path) {
  const std::string index = IndexPath(path);
  std::error_code ignored;
  if (!std::filesystem::exists(index, ignored)) return;
  std::set<std::string> stale = ShardsOfIndex(index);
  for (const Part& part : parts) {
    stale.erase(std::filesystem::path(part.path).filename().string());
  }
  if (stale.empty()) return;
  Fail(ErrorKind::kInput,
       "{}: '{}' is there and names {} other file{} of a model, such as '{}'; "
       "remove them, or write into another folder",
       path, index, stale.size(), stale.size() == 1 ? "" : "s", *stale.begin());
}

// Several files cannot be replaced in one step: a program that is killed between
// two of them would leave parts of two models.
void CheckNothingIsReplaced(const std::vector<Part>& parts,
                            const std::string& path) {
  if (parts.size() == 1) return;
  const auto check = [](const std::string& file) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return;
    Fail(ErrorKind::kInput,
         "{}: is there already, and the files of a model cannot be replaced in "
         "one step; remove them, or write into another folder",
         file);
  };
  check(IndexPath(path));
  for (const Part& part : parts) check(part.path);
}

// Of all parts and what comes with them.
struct Work {
  int64_t file_bytes = 0;
  int64_t tensor_bytes = 0;
};

Work WorkOf(const std::vector<Part>& parts, FileFormat format) {
  Work work;
  for (const Part& part : parts) {
    const auto files = CheckedAdd(work.file_bytes, FileBytes(part, format));
    const auto tensors =
        CheckedAdd(work.tensor_bytes, TotalBytes(part.tensors));
    if (!files || !tensors) FailTooLarge();
    work = {*files, *tensors};
  }
  return work;
}

// How many values vanished of each tensor, in order.
std::vector<int64_t> WriteParts(const Model& model,
                                const std::vector<Part>& parts,
                                const Companions& companions,
                                const std::string& path, FileFormat format) {
  const Work work = WorkOf(parts, format);
  Progress progress("saving " + path, work.tensor_bytes);
  FileSet files;
  WriteCompanions(companions, path, files);
  std::vector<int64_t> vanished;
  int64_t left = work.file_bytes;
  for (const Part& part : parts) {
    // The first asks for room for all of them.
    ReplaceFile& out = files.Open(part.path, left);
    left -= FileBytes(part, format);
    std::ranges::copy(WritePart(part, format, out, progress),
                      std::back_inserter(vanished));
  }
  if (parts.size() > 1 && format == FileFormat::kSafeTensors) {
    const std::string index = IndexJson(parts);
    files.Open(IndexPath(path), static_cast<int64_t>(index.size()))
        .Write(std::as_bytes(std::span(index)));
  }
  // A source that shrank has been read as zeros: that may not become a file.
  model.CheckIntact();
  files.Commit();
  return vanished;
}

// Where the tokenizer of the source stays behind.
std::optional<std::string> TokenizerNote(const Model& model,
                                         const OutputModel& output,
                                         const std::string& path,
                                         FileFormat format) {
  const auto is_tokenizer = [](const auto& file) {
    return file.first == kTokenizerFile;
  };
  std::error_code ignored;
  const bool beside =
      std::ranges::any_of(output.companions, is_tokenizer) ||
      (format == FileFormat::kSafeTensors &&
       std::filesystem::exists(FolderOf(path) / kTokenizerFile, ignored));
  if (beside || output.metadata.Find(kTokenizerKey)) return std::nullopt;
  const bool in_metadata = model.metadata().Find("tokenizer.ggml.tokens");
  if (in_metadata && !output.companions.empty()) {
    return fmt::format(
        "is without {}, which cannot be made from the tokenizer in {}; take it "
        "from where the model came from",
        kTokenizerFile, model.Label());
  }
  const auto left = model.FileBeside(kTokenizerFile);
  if (in_metadata || model.format() == "GGUF" || !left) return std::nullopt;
  return fmt::format("is without the tokenizer in '{}', which stays behind",
                     *left);
}

// Of values that became zero; `vanished` has a count for each tensor.
std::optional<std::string> VanishedNote(const std::vector<Part>& parts,
                                        const std::vector<int64_t>& vanished) {
  std::string text;
  int more = 0;
  auto count = vanished.begin();
  for (const Part& part : parts) {
    for (const OutputTensor& tensor : part.tensors) {
      const int64_t values = *count++;
      if (values == 0) continue;
      if (!text.empty()) {
        ++more;
        continue;
      }
      text = fmt::format(
          "{}: {} of {} values are below what {} holds, became 0",
          QuoteName(tensor.name), values, tensor.elements, tensor.type_name());
    }
  }
  if (text.empty()) return std::nullopt;
  if (more > 0) {
    text += fmt::format("; so did some of {} more tensor{}", more,
                        more == 1 ? "" : "s");
  }
  return text;
}

}  // namespace

SaveNotes SaveModel(const Model& model, const std::string& path,
                    const SaveOptions& options) {
  return SaveShards(model, path, options, INT64_MAX);
}

SaveNotes SaveShards(const Model& model, const std::string& path,
                     const SaveOptions& options, int64_t shard_bytes) {
  const FileFormat format = FormatByName(path);
  CheckFolder(path);
  OutputModel output = PlanSave(model, format, options);
  CheckSize(output, path);
  SaveNotes notes = output.notes;
  if (auto note = TokenizerNote(model, output, path, format)) {
    notes.push_back(std::move(*note));
  }
  const Companions companions = std::move(output.companions);
  const std::vector<Part> parts =
      MakeParts(std::move(output), path, format, shard_bytes);
  if (format == FileFormat::kSafeTensors) CheckStaleShards(parts, path);
  CheckNothingIsReplaced(parts, path);
  const std::vector<int64_t> vanished =
      WriteParts(model, parts, companions, path, format);
  if (auto note = VanishedNote(parts, vanished)) {
    notes.push_back(std::move(*note));
  }
  return notes;
}

}  // namespace tl
