#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <utility>

#include "base/printable.h"
#include "base/utf8.h"
#include "cli/model_report.h"

namespace tl {
namespace {

using Buffer = fmt::memory_buffer;

template <class... Args>
void Put(Buffer& json, fmt::format_string<Args...> text, Args&&... args) {
  fmt::format_to(std::back_inserter(json), text, std::forward<Args>(args)...);
}

// Commas between the elements of an array or object, one on each line.
class Elements {
 public:
  explicit Elements(Buffer& json) : json_(json) {}

  Buffer& Next() {
    Put(json_, "{}\n    ", first_ ? "" : ",");
    first_ = false;
    return json_;
  }

 private:
  Buffer& json_;
  bool first_ = true;
};

void PutFiles(Buffer& json, const ModelReport& report) {
  Put(json, ",\n  \"files\": [");
  Elements files(json);
  for (const FileReport& file : report.files) {
    Put(files.Next(), "{{\"path\": {}, \"bytes\": {}",
        JsonString(file.file->path()), file.file->size());
    if (!file.sha256.empty()) Put(json, ", \"sha256\": \"{}\"", file.sha256);
    Put(json, "}}");
  }
  Put(json, "]");
}

void PutTypes(Buffer& json, const ModelSummary& summary) {
  Put(json, ",\n  \"types\": [");
  Elements types(json);
  for (const TypeTotal& type : summary.types) {
    Put(types.Next(),
        "{{\"type\": {}, \"tensors\": {}, \"parameters\": {}, \"bytes\": {}}}",
        JsonString(type.type), type.tensors, type.elements, type.bytes);
  }
  Put(json, "]");
}

void PutItem(Buffer& json, MetadataItem item) {
  if (const auto text = item.Text()) return Put(json, "{}", JsonString(*text));
  if (const auto flag = item.Bool()) return Put(json, "{}", *flag);
  if (const auto integer = item.Int()) return Put(json, "{}", *integer);
  if (const auto large = item.LargeInt()) return Put(json, "{}", *large);
  const double real = item.Real().value();
  if (!std::isfinite(real)) return Put(json, "null");
  // A float32 is printed as short as it can be read back.
  if (item.kind() == MetadataKind::F32) {
    return Put(json, "{}", static_cast<float>(real));
  }
  Put(json, "{}", real);
}

void PutValue(Buffer& json, const MetadataValue& value) {
  if (!value.is_array()) return PutItem(json, value.item());
  Put(json, "[");
  std::string_view before;
  for (MetadataItem item : value.array()) {
    Put(json, "{}", std::exchange(before, ", "));
    PutItem(json, item);
  }
  Put(json, "]");
}

void PutMetadata(Buffer& json, const Model& model) {
  Put(json, ",\n  \"metadata\": {{");
  Elements entries(json);
  for (const auto& [key, value] : model.metadata()) {
    Put(entries.Next(), "{}: ", JsonString(key));
    PutValue(json, value);
  }
  Put(json, "}}");
}

void PutStrings(Buffer& json, const std::vector<std::string>& strings) {
  Put(json, "[");
  Elements elements(json);
  for (const std::string& text : strings) {
    Put(elements.Next(), "{}", JsonString(text));
  }
  Put(json, "]");
}

void PutStats(Buffer& json, const TensorStats& stats) {
  Put(json,
      ", \"stats\": {{\"min\": {}, \"max\": {}, \"mean\": {}, \"nan\": {}, "
      "\"inf\": {}, \"over_float16\": {}, \"flushed_float16\": {}}}",
      stats.min, stats.max, stats.mean, stats.nan, stats.infinite,
      stats.overflow, stats.flushed);
}

void PutCompanion(Buffer& json, const Companion& companion) {
  switch (companion.reading) {
    case Reading::kPlain:
      return;
    case Reading::kScaled:
      return Put(json, ", \"scale\": {}", JsonString(companion.scale));
    case Reading::kRefused:
      return Put(json, ", \"refused\": {}", JsonString(companion.text));
  }
}

void PutTensors(Buffer& json, const ModelReport& report) {
  Put(json, ",\n  \"tensors\": [");
  Elements tensors(json);
  for (size_t i = 0; i < report.tensors.size(); ++i) {
    const TensorEntry& entry = *report.tensors[i];
    Put(tensors.Next(),
        "{{\"name\": {}, \"shape\": [{}], \"type\": {}, \"bytes\": {}",
        JsonString(entry.name), fmt::join(entry.shape, ", "),
        JsonString(entry.type_name()), entry.bytes);
    if (entry.file) {
      Put(json, ", \"file\": {}, \"offset\": {}",
          JsonString(entry.file->path()), entry.offset());
    }
    if (!entry.encoding.empty()) {
      Put(json, ", \"encoding\": {}", JsonString(entry.encoding));
    }
    if (const Companion* companion = report.FindCompanionOf(entry)) {
      PutCompanion(json, *companion);
    }
    if (!report.stats.empty() && report.stats[i]) {
      PutStats(json, *report.stats[i]);
    }
    Put(json, "}}");
  }
  Put(json, "]");
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const Utf8Character character = FirstCharacter(text);
    if (!character.valid) {
      quoted += "\\ufffd";
    } else if (character.code == '"' || character.code == '\\') {
      quoted += '\\';
      quoted += text[0];
    } else if (MovesOrHides(character.code)) {
      quoted += fmt::format("\\u{:04x}", character.code);
    } else {
      quoted += text.substr(0, character.bytes);
    }
    text.remove_prefix(character.bytes);
  }
  return quoted + '"';
}

std::string ToJson(const ModelReport& report) {
  const Model& model = *report.model;
  Buffer json;
  Put(json, "{{\n  \"path\": {},\n  \"format\": {}", JsonString(model.path()),
      JsonString(model.format()));
  if (model.format_version() != 0) {
    Put(json, ",\n  \"format_version\": {}", model.format_version());
  }
  Put(json, ",\n  \"bytes\": {},\n  \"parameters\": {}",
      report.summary.file_bytes, report.summary.parameters);
  PutFiles(json, report);
  PutTypes(json, report.summary);
  PutMetadata(json, model);
  if (!model.notes().empty()) {
    Put(json, ",\n  \"notes\": ");
    PutStrings(json, model.notes());
  }
  if (report.check) {
    Put(json,
        ",\n  \"check\": {{\"bytes\": {}, \"findings\": ", report.check->bytes);
    PutStrings(json, report.check->findings);
    Put(json, "}}");
  }
  PutTensors(json, report);
  Put(json, "\n}}\n");
  return fmt::to_string(json);
}

}  // namespace tl
