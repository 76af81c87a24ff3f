// model.espresso.net is JSON:
//   {"layers": [{"name": "conv1", "type": "convolution", "C": 16, "K": 3,
//                "Nx": 5, "Ny": 5, "n_groups": 1, "blob_weights": 3,
//                "blob_biases": 1, …}, …], …}
// model.espresso.weights:
//   offset 0   u32 number of blobs, u32 0
//   then       for each: u32 its index, u32 0, u32 bytes, u32 0
//   then       their bytes, one after the other; float32. Those with an even
//              index are padding.

#include "format/espresso.h"

#include <filesystem>
#include <map>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "format/formats.h"
#include "format/json.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

constexpr char kWeights[] = "model.espresso.weights";
constexpr int64_t kMaxNet = 256 << 20;  // real ones have some 100 KB

struct Layer {
  std::string name;
  std::map<std::string, int64_t> numbers;

  int64_t Number(const std::string& key, int64_t otherwise) const {
    const auto number = numbers.find(key);
    return number == numbers.end() ? otherwise : number->second;
  }
};

Layer ReadLayer(JsonDocument& json, JsonDocument::Object object) {
  Layer layer;
  for (JsonDocument::Field field : object) {
    const std::string key(json.Key(field));
    JsonDocument::Value value = field.value();
    std::string_view text;
    int64_t number = 0;
    if (key == "name" && !value.get_string().get(text)) {
      layer.name = text;
    } else if (value.type() == simdjson::ondemand::json_type::number &&
               !value.get_int64().get(number)) {
      layer.numbers[key] = number;
    } else {
      json.Skip(value);
    }
  }
  return layer;
}

std::vector<Layer> ReadNet(const std::string& path) {
  std::vector<Layer> layers;
  JsonDocument json(path, simdjson::padded_string(ReadTextFile(path, kMaxNet)),
                    0);
  json.ReadObject([&](JsonDocument::Object object) {
    for (JsonDocument::Field field : object) {
      if (json.Key(field) != "layers") {
        json.Skip(field.value());
        continue;
      }
      for (auto layer : field.value().get_array()) {
        layers.push_back(ReadLayer(json, layer.value().get_object()));
      }
    }
  });
  return layers;
}

std::map<int64_t, std::span<const std::byte>> ReadBlobs(
    const MappedFile& file) {
  ByteReader reader(file.bytes(), file.path());
  const auto count = reader.Read<uint32_t>("the number of blobs");
  reader.Read<uint32_t>("the header");
  std::vector<std::pair<int64_t, int64_t>> records;
  for (uint32_t i = 0; i < count; ++i) {
    const auto index = reader.Read<uint32_t>("the index of a blob");
    reader.Read<uint32_t>("a blob's record");
    const auto bytes = reader.Read<uint32_t>("the size of a blob");
    reader.Read<uint32_t>("a blob's record");
    records.emplace_back(index, bytes);
  }
  std::map<int64_t, std::span<const std::byte>> blobs;
  for (const auto& [index, bytes] : records) {
    blobs[index] = reader.Take(bytes, fmt::format("blob {}", index));
  }
  return blobs;
}

// The layer's, where as many numbers are there; else a vector of them.
std::vector<int64_t> ShapeOf(const Layer& layer, int64_t count) {
  std::vector<int64_t> shape;
  if (layer.numbers.contains("C") && layer.numbers.contains("K")) {
    const int64_t groups = std::max<int64_t>(layer.Number("n_groups", 1), 1);
    shape = {layer.Number("C", 0), layer.Number("K", 0) / groups,
             layer.Number("Ny", 1), layer.Number("Nx", 1)};
  } else if (layer.numbers.contains("nC") && layer.numbers.contains("nB")) {
    shape = {layer.Number("nC", 0), layer.Number("nB", 0)};
  }
  std::optional<int64_t> product = shape.empty() ? 0 : 1;
  for (const int64_t size : shape) {
    if (product) product = CheckedMultiply(*product, size);
  }
  return product == count ? shape : std::vector<int64_t>{count};
}

}  // namespace

Model LoadEspresso(const std::string& path) {
  const std::string net = (fs::path(path) / kEspressoNet).string();
  auto file = MappedFile::Open((fs::path(path) / kWeights).string());
  const auto blobs = ReadBlobs(*file);
  Model model(path, kCoreMl);
  model.metadata().Add("coreml.kind", "compiled neural network");
  for (const Layer& layer : ReadNet(net)) {
    constexpr std::pair<const char*, const char*> kFields[] = {
        {"blob_weights", "weights"}, {"blob_biases", "bias"}};
    for (const auto& [key, field] : kFields) {
      const int64_t index = layer.Number(key, -1);
      if (index < 0) continue;
      const auto blob = blobs.find(index);
      if (blob == blobs.end()) {
        Fail(ErrorKind::kInput, "{}: layer {} needs blob {}, which {} lacks",
             net, QuoteName(layer.name), index, file->path());
      }
      TensorEntry entry;
      entry.name = layer.name + "." + field;
      entry.dtype = DType::F32;
      entry.elements = static_cast<int64_t>(blob->second.size()) / 4;
      entry.bytes = entry.elements * 4;
      entry.shape = std::string_view(field) == "weights"
                        ? ShapeOf(layer, entry.elements)
                        : std::vector<int64_t>{entry.elements};
      entry.data = std::shared_ptr<std::byte>(
          std::const_pointer_cast<MappedFile>(file),
          const_cast<std::byte*>(blob->second.data()));
      entry.file = file;
      model.Add(std::move(entry));
    }
  }
  model.AddFile(file);
  model.CheckIntact();
  return model;
}

}  // namespace tl
