#include "format/gguf_split.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "format/gguf_header.h"

namespace tl {
namespace {

constexpr std::string_view kNumber = "split.no";  // from 0
constexpr std::string_view kCount = "split.count";
constexpr std::string_view kTensors = "split.tensors.count";

constexpr std::string_view kSplitKeys[] = {kNumber, kCount, kTensors};

constexpr std::string_view kEnding = ".gguf";
constexpr size_t kDigits = 5;
// What five digits can name.
constexpr int64_t kMaxParts = 99'999;

// The number before the end of `text`, which loses it and `before` it.
std::optional<int64_t> TakeNumber(std::string_view& text,
                                  std::string_view before) {
  if (text.size() < kDigits + before.size()) return std::nullopt;
  const std::string_view digits = text.substr(text.size() - kDigits);
  const bool all =
      digits.find_first_not_of("0123456789") == std::string_view::npos;
  text.remove_suffix(kDigits);
  if (!all || !text.ends_with(before)) return std::nullopt;
  text.remove_suffix(before.size());
  int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

GgufPartName NameOfFirst(const Model& first, int64_t count) {
  const std::string& path = first.path();
  const auto name = FindGgufPartName(path);
  if (!name || name->number != 1 || name->count != count) {
    Fail(ErrorKind::kInput,
         "{}: is the first of {} parts of a model; the others are found only "
         "if its name ends in '-00001-of-{:05}.gguf'",
         path, count, count);
  }
  return *name;
}

void AddPart(Model& model, const GgufPartName& name) {
  const std::string path = name.path();
  Model part =
      WithNote([&] { return LoadGgufFile(MappedFile::Open(path)); },
               [&] {
                 return fmt::format("{} is the first of {} parts of a model",
                                    model.path(), name.count);
               });
  const std::optional<int64_t> number = part.metadata().Int(kNumber);
  const std::optional<int64_t> count = part.metadata().Int(kCount);
  if (number != name.number - 1 || (count && *count != name.count)) {
    Fail(
        ErrorKind::kInput,
        "{}: says that it is part {} of {}, not part {} of {} as its name does",
        path, number ? fmt::format("{}", *number + 1) : "?",
        count ? fmt::format("{}", *count) : "?", name.number, name.count);
  }
  for (const TensorEntry& entry : part.tensors()) {
    if (const TensorEntry* other = model.Find(entry.name)) {
      Fail(ErrorKind::kInput, "{}: tensor {} is also in {}", path,
           QuoteName(entry.name), other->file->path());
    }
    model.Add(entry);
  }
  for (const auto& file : part.files()) model.AddFile(file);
}

}  // namespace

std::string GgufPartName::path() const {
  return fmt::format("{}-{:05}-of-{:05}{}", base, number, count, kEnding);
}

std::optional<GgufPartName> FindGgufPartName(std::string_view path) {
  if (!path.ends_with(kEnding)) return std::nullopt;
  std::string_view base = path.substr(0, path.size() - kEnding.size());
  const auto count = TakeNumber(base, "-of-");
  if (!count) return std::nullopt;
  const auto number = TakeNumber(base, "-");
  if (!number) return std::nullopt;
  return GgufPartName{std::string(base), *number, *count};
}

Model WithGgufParts(Model first) {
  const std::optional<int64_t> count = first.metadata().Int(kCount);
  if (!count && first.metadata().Find(kCount) != nullptr) {
    Fail(ErrorKind::kInput,
         "{}: metadata '{}' is no number of parts, of which there are at most "
         "{}",
         first.path(), kCount, kMaxParts);
  }
  const int64_t number = first.metadata().Int(kNumber).value_or(0);
  if (!count || *count <= 1) return first;
  if (*count > kMaxParts) {
    Fail(ErrorKind::kInput, "{}: is to have {} parts, at most {} are possible",
         first.path(), *count, kMaxParts);
  }
  if (number != 0) {
    auto name = FindGgufPartName(first.path());
    if (name) name->number = 1;
    Fail(ErrorKind::kInput,
         "{}: is part {} of {} of a model; open the first part{}", first.path(),
         number + 1, *count, name ? fmt::format(", {}", name->path()) : "");
  }
  GgufPartName name = NameOfFirst(first, *count);
  for (int64_t i = 2; i <= *count; ++i) {
    name.number = i;
    AddPart(first, name);
  }
  const std::optional<int64_t> tensors = first.metadata().Int(kTensors);
  if (tensors && *tensors != first.size()) {
    Fail(ErrorKind::kInput,
         "{}: is to have {} tensors in {} parts, which have {}", first.path(),
         *tensors, *count, first.size());
  }
  // The parts are one model now.
  RemoveSplitKeys(first.metadata());
  return first;
}

void RemoveSplitKeys(Metadata& metadata) {
  for (std::string_view key : kSplitKeys) metadata.Remove(key);
}

Metadata MetadataOfPart(const Metadata& metadata, const GgufPart& part) {
  Metadata result;
  if (part.number == 0) {
    result = metadata;
  } else if (const auto* alignment = metadata.Find(kGgufAlignmentKey)) {
    result.Set(kGgufAlignmentKey, *alignment);
  }
  if (!std::in_range<uint16_t>(part.count)) {
    Fail(ErrorKind::kInput,
         "a model of {} parts; GGUF counts at most {}: use larger shards",
         part.count, UINT16_MAX);
  }
  result.Set(kNumber, MetadataValue::Of(static_cast<uint16_t>(part.number)));
  result.Set(kCount, MetadataValue::Of(static_cast<uint16_t>(part.count)));
  result.Set(kTensors, MetadataValue::Of(static_cast<int32_t>(part.tensors)));
  return result;
}

}  // namespace tl
