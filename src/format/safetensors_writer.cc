#include "format/safetensors_writer.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "format/metadata_text.h"
#include "format/recode.h"
#include "format/safetensors_header.h"

namespace tl {
namespace {

constexpr auto kWriteOrder = std::to_array<DType>(
    {DType::U64,         DType::I64,     DType::F64,     DType::C64,
     DType::F32,         DType::U32,     DType::I32,     DType::BF16,
     DType::F16,         DType::U16,     DType::I16,     DType::F8_E5M2FNUZ,
     DType::F8_E4M3FNUZ, DType::F8_E8M0, DType::F8_E4M3, DType::F8_E5M2,
     DType::I8,          DType::U8,      DType::F6_E3M2, DType::F6_E2M3,
     DType::F4,          DType::BOOL});

// Types that we do not know come last: their size does not disturb the others.
size_t WriteRank(const OutputTensor& tensor) {
  if (!tensor.dtype) return kWriteOrder.size();
  return std::find(kWriteOrder.begin(), kWriteOrder.end(), *tensor.dtype) -
         kWriteOrder.begin();
}

void CheckTensor(const OutputTensor& tensor) {
  if (tensor.name == "__metadata__") {
    Fail(ErrorKind::kInput,
         "a tensor called '__metadata__' cannot be read back from SafeTensors");
  }
  if (tensor.dtype && Info(*tensor.dtype).safetensors.empty()) {
    Fail(ErrorKind::kInput, "tensor {}: SafeTensors has no type {}",
         QuoteName(tensor.name), tensor.type_name());
  }
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

}  // namespace

void SortForSafeTensors(std::vector<OutputTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(),
            [](const OutputTensor& a, const OutputTensor& b) {
              const size_t a_rank = WriteRank(a), b_rank = WriteRank(b);
              return a_rank != b_rank ? a_rank < b_rank : a.name < b.name;
            });
}

std::string SafeTensorsHeaderBytes(const std::vector<OutputTensor>& tensors,
                                   const Metadata& metadata) {
  std::string json = "{";
  AppendMetadata(json, metadata);
  int64_t begin = 0;
  for (const OutputTensor& tensor : tensors) {
    CheckTensor(tensor);
    const int64_t end = begin + tensor.bytes;
    json += ',';
    AppendString(json, tensor.name);
    json += ":{\"dtype\":";
    AppendString(json, tensor.type_name());
    json += fmt::format(",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                        fmt::join(tensor.shape, ","), begin, end);
    begin = end;
  }
  json += '}';
  json.resize((json.size() + 7) / 8 * 8, ' ');
  if (json.size() > static_cast<size_t>(kSafeTensorsMaxHeader)) {
    Fail(ErrorKind::kInput, "a header of {} bytes, readers accept at most {}",
         json.size(), kSafeTensorsMaxHeader);
  }
  const uint64_t size = json.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + json;
}

std::vector<int64_t> WriteSafeTensors(const std::vector<OutputTensor>& tensors,
                                      const std::string& header,
                                      ReplaceFile& out, Progress& progress) {
  std::vector<int64_t> vanished;
  out.Write(std::as_bytes(std::span(header)));
  for (const OutputTensor& tensor : tensors) {
    vanished.push_back(WriteTensor(tensor, out, progress));
  }
  return vanished;
}

}  // namespace tl
