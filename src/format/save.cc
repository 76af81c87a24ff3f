// Writing SafeTensors; format/safetensors.cc has the layout. Tensors come by
// type, widest first, then by name: without padding between them each is
// aligned to its own elements. The header is padded so that the data begins at
// a multiple of eight. The same order as the reference implementation's, so
// that a file of its own comes out byte for byte.

#include "format/save.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/replace_file.h"
#include "format/metadata_text.h"

namespace tl {
namespace {

constexpr size_t kMaxHeader = 100'000'000;  // what readers accept
constexpr int64_t kProgressStep = 16 << 20;

constexpr auto kWriteOrder = std::to_array<DType>(
    {DType::U64,         DType::I64,     DType::F64,     DType::C64,
     DType::F32,         DType::U32,     DType::I32,     DType::BF16,
     DType::F16,         DType::U16,     DType::I16,     DType::F8_E5M2FNUZ,
     DType::F8_E4M3FNUZ, DType::F8_E8M0, DType::F8_E4M3, DType::F8_E5M2,
     DType::I8,          DType::U8,      DType::F6_E3M2, DType::F6_E2M3,
     DType::F4,          DType::BOOL});

// Types that we do not know come last: their size does not disturb the others.
size_t WriteRank(const TensorEntry& entry) {
  if (!entry.dtype) return kWriteOrder.size();
  return std::find(kWriteOrder.begin(), kWriteOrder.end(), *entry.dtype) -
         kWriteOrder.begin();
}

void CheckPath(const std::string& path) {
  for (std::string_view ending : {".gguf", ".mlmodel", ".mlpackage", ".pt"}) {
    if (path.ends_with(ending)) {
      Fail(ErrorKind::kInput,
           "{}: models are saved as SafeTensors; end the name in .safetensors",
           path);
    }
  }
}

void CheckEntry(const TensorEntry& entry) {
  if (entry.name == "__metadata__") {
    Fail(ErrorKind::kInput,
         "a tensor called '__metadata__' cannot be read back from SafeTensors");
  }
  if (entry.dtype && Info(*entry.dtype).safetensors.empty()) {
    Fail(ErrorKind::kInput, "tensor {}: SafeTensors has no type {}",
         QuoteName(entry.name), entry.type_name());
  }
}

std::vector<const TensorEntry*> InWriteOrder(const Model& model) {
  std::vector<std::pair<size_t, const TensorEntry*>> ranked;
  for (const TensorEntry& entry : model.tensors()) {
    CheckEntry(entry);
    ranked.emplace_back(WriteRank(entry), &entry);
  }
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first < b.first;
    return a.second->name < b.second->name;
  });
  std::vector<const TensorEntry*> entries;
  for (const auto& [rank, entry] : ranked) entries.push_back(entry);
  return entries;
}

void AppendString(std::string& json, std::string_view text) {
  if (!simdjson::validate_utf8(text)) {
    Fail(ErrorKind::kInput, "{} is not UTF-8, which SafeTensors needs",
         QuoteName(text));
  }
  AppendJsonString(json, text);
}

void AppendMetadata(std::string& json, const Metadata& metadata) {
  std::map<std::string, std::string> texts;
  for (const auto& [key, value] : metadata) texts[key] = ToText(value);
  // Without it, loaders of PyTorch refuse the file.
  texts.try_emplace("format", "pt");
  json += "\"__metadata__\":{";
  for (bool first = true; const auto& [key, text] : texts) {
    if (!std::exchange(first, false)) json += ',';
    AppendString(json, key);
    json += ':';
    AppendString(json, text);
  }
  json += '}';
}

std::string MakeHeader(const Model& model,
                       const std::vector<const TensorEntry*>& entries) {
  std::string json = "{";
  AppendMetadata(json, model.metadata());
  int64_t begin = 0;
  for (const TensorEntry* entry : entries) {
    const int64_t end = begin + entry->bytes;
    json += ',';
    AppendString(json, entry->name);
    json += ":{\"dtype\":";
    AppendString(json, entry->type_name());
    json += fmt::format(",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                        fmt::join(entry->shape, ","), begin, end);
    begin = end;
  }
  json += '}';
  json.resize((json.size() + 7) / 8 * 8, ' ');
  if (json.size() > kMaxHeader) {
    Fail(ErrorKind::kInput, "a header of {} bytes, readers accept at most {}",
         json.size(), kMaxHeader);
  }
  return json;
}

int64_t TotalBytes(const std::vector<const TensorEntry*>& entries) {
  std::optional<int64_t> total = 0;
  for (const TensorEntry* entry : entries) {
    if (total) total = CheckedAdd(*total, entry->bytes);
  }
  if (!total) Fail(ErrorKind::kInput, "the tensors need more than 2^63 bytes");
  return *total;
}

void WriteTensor(ReplaceFile& out, Progress& progress,
                 const TensorEntry& entry) {
  for (int64_t done = 0; done < entry.bytes;) {
    const int64_t step = std::min(entry.bytes - done, kProgressStep);
    if (entry.file != nullptr) {
      out.Copy(*entry.file, entry.offset() + done, step);
    } else {
      out.Write(entry.stored().subspan(done, step));
    }
    done += step;
    progress.Advance(step);
  }
}

}  // namespace

void SaveModel(const Model& model, const std::string& path) {
  CheckPath(path);
  const std::vector<const TensorEntry*> entries = InWriteOrder(model);
  const std::string header = MakeHeader(model, entries);
  const int64_t data_bytes = TotalBytes(entries);
  const uint64_t header_bytes = header.size();

  ReplaceFile out(path, data_bytes + static_cast<int64_t>(header_bytes) + 8);
  Progress progress("saving " + path, data_bytes);
  out.Write(std::as_bytes(std::span(&header_bytes, 1)));
  out.Write(std::as_bytes(std::span(header)));
  for (const TensorEntry* entry : entries) WriteTensor(out, progress, *entry);
  // A source that shrank has been copied as zeros: that may not become a file.
  model.CheckIntact();
  out.Commit();
}

}  // namespace tl
