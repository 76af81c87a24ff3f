#include "format/pooling.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>

#include <array>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "format/json.h"

namespace tl {
namespace {

using Json = simdjson::dom::element;

constexpr int64_t kLimit = 1 << 20;  // such files have a few hundred bytes
constexpr char kModules[] = "modules.json";
constexpr char kPooling[] = "1_Pooling/config.json";

// The place in the list is the number.
constexpr auto kGgufWords =
    std::to_array<std::string_view>({"none", "mean", "cls", "last", "rank"});

// "pooling_mode_..." of sentence-transformers.
struct Mode {
  std::string_view key;
  std::string_view word;
};
constexpr auto kModes = std::to_array<Mode>({
    {"pooling_mode_mean_tokens", "mean"},
    {"pooling_mode_cls_token", "cls"},
    {"pooling_mode_lasttoken", "last"},
    {"pooling_mode_max_tokens", "max"},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
    {"pooling_mode_weightedmean_tokens", "weightedmean"},
});

// Calls use(json) with the file, if it is there.
template <class F>
void WithFile(const Model& model, const char* name, F&& use) {
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

std::vector<std::string> ModesIn(Json json) {
  std::vector<std::string> words;
  for (const Mode& mode : kModes) {
    bool set = false;
    if (json[mode.key].get(set) == simdjson::SUCCESS && set) {
      words.emplace_back(mode.word);
    }
  }
  return words;
}

// Modules that change vectors further: all but the model itself, its pooling,
// and the norm, which every vector is given here.
std::vector<std::string> OtherModulesIn(Json json) {
  std::vector<std::string> names;
  simdjson::dom::array modules;
  if (json.get(modules) != simdjson::SUCCESS) return names;
  for (Json module : modules) {
    std::string_view type;
    if (module["type"].get(type) != simdjson::SUCCESS) continue;
    type.remove_prefix(type.rfind('.') + 1);
    if (type != "Transformer" && type != "Pooling" && type != "Normalize") {
      names.emplace_back(type);
    }
  }
  return names;
}

}  // namespace

std::optional<std::string> PoolingBeside(const Model& model) {
  std::vector<std::string> words;
  WithFile(model, kPooling, [&](Json json) { words = ModesIn(json); });
  WithFile(model, kModules, [&](Json json) {
    for (std::string& name : OtherModulesIn(json)) {
      words.push_back(std::move(name));
    }
  });
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
