#include "format/pooling.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>

#include <array>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "format/json.h"
#include "format/path_within.h"

namespace tl {
namespace {

using Json = simdjson::dom::element;

constexpr int64_t kLimit = 1 << 20;  // such files have a few hundred bytes
constexpr char kModules[] = "modules.json";
constexpr char kPoolingFolder[] = "1_Pooling";  // where no modules.json says it

// The place in the list is the number.
constexpr auto kGgufWords =
    std::to_array<std::string_view>({"none", "mean", "cls", "last", "rank"});

// Of sentence-transformers: the value of "pooling_mode", and the flag of older
// files.
struct Mode {
  std::string_view name;
  std::string_view flag;
  std::string_view word;
};
constexpr auto kModes = std::to_array<Mode>({
    {"mean", "pooling_mode_mean_tokens", "mean"},
    {"cls", "pooling_mode_cls_token", "cls"},
    {"lasttoken", "pooling_mode_lasttoken", "last"},
    {"max", "pooling_mode_max_tokens", "max"},
    {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens",
     "mean_sqrt_len_tokens"},
    {"weightedmean", "pooling_mode_weightedmean_tokens", "weightedmean"},
});

using Words = std::vector<std::string>;

// Calls use(json) with the file, if it is there.
template <class F>
void WithFile(const Model& model, const std::string& name, F&& use) {
  const auto file = model.FileBeside(name);
  if (!file) return;
  simdjson::dom::parser parser;
  const std::string text = ReadTextFile(*file, kLimit);
  Json json;
  if (ParseJson(parser, text).get(json) != simdjson::SUCCESS) {
    Fail(ErrorKind::kInput, "{}: its {} is not JSON", model.Label(), name);
  }
  use(json);
}

// Reads the config.json of one pooling module.
class PoolingReader {
 public:
  PoolingReader(const Model& model, std::string file, Words& words)
      : model_(model), file_(std::move(file)), words_(words) {}

  void Read() {
    WithFile(model_, file_, [&](Json json) {
      const size_t before = words_.size();
      Json mode;
      simdjson::dom::array list;
      if (json["pooling_mode"].get(mode) != simdjson::SUCCESS) {
        AddFlags(json);
      } else if (mode.get(list) == simdjson::SUCCESS) {
        for (Json item : list) Add(item);
      } else {
        Add(mode);
      }
      if (words_.size() == before) words_.emplace_back("mean");
    });
  }

 private:
  void AddFlags(Json json) {
    for (const Mode& mode : kModes) {
      bool set = false;
      if (json[mode.flag].get(set) == simdjson::SUCCESS && set) {
        words_.emplace_back(mode.word);
      }
    }
  }

  void Add(Json said) {
    std::string_view name;
    if (said.get(name) == simdjson::SUCCESS) {
      for (const Mode& mode : kModes) {
        if (mode.name != name) continue;
        words_.emplace_back(mode.word);
        return;
      }
    }
    Words names;
    for (const Mode& mode : kModes) names.emplace_back(mode.name);
    Fail(ErrorKind::kInput,
         "{}: its {} says \"pooling_mode\": {}; known are {}", model_.Label(),
         file_, simdjson::minify(said), fmt::join(names, ", "));
  }

  const Model& model_;
  const std::string file_;
  Words& words_;
};

// What the modules do to vectors, besides the model itself and the norm, which
// every vector is given here.
void ReadModules(const Model& model, Json json, Words& words) {
  simdjson::dom::array modules;
  if (json.get(modules) != simdjson::SUCCESS) return;
  for (Json module : modules) {
    std::string_view type, folder = kPoolingFolder;
    if (module["type"].get(type) != simdjson::SUCCESS) continue;
    type.remove_prefix(type.rfind('.') + 1);
    if (type == "Pooling") {
      [[maybe_unused]] const auto error = module["path"].get(folder);
      const std::string file = fmt::format("{}/config.json", folder);
      PathWithin(*model.FileBeside("."), file, model.Label());
      PoolingReader(model, file, words).Read();
    } else if (type != "Transformer" && type != "Normalize") {
      words.emplace_back(type);
    }
  }
}

}  // namespace

std::optional<std::string> PoolingBeside(const Model& model) {
  Words words;
  if (model.FileBeside(kModules)) {
    WithFile(model, kModules,
             [&](Json json) { ReadModules(model, json, words); });
  } else {
    PoolingReader(model, fmt::format("{}/config.json", kPoolingFolder), words)
        .Read();
  }
  if (words.empty()) return std::nullopt;
  return fmt::format("{}", fmt::join(words, "+"));
}

std::optional<uint32_t> GgufPooling(std::string_view word) {
  for (size_t i = 0; i < kGgufWords.size(); ++i) {
    if (kGgufWords[i] == word) return static_cast<uint32_t>(i);
  }
  return std::nullopt;
}

std::optional<std::string_view> PoolingOfGguf(int64_t number) {
  if (number < 0 || number >= std::ssize(kGgufWords)) return std::nullopt;
  return kGgufWords[number];
}

}  // namespace tl
