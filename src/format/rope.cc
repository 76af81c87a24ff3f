#include "format/rope.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numbers>

#include "base/error.h"
#include "base/half.h"
#include "format/config.h"
#include "format/json.h"
#include "format/rope_factors.h"

namespace tl {
namespace {

using Json = simdjson::dom::element;

// The architectures whose rows GGUF orders for pairs of neighbours.
constexpr std::string_view kNeighbours[] = {
    "llama",  "llama4", "deci",     "baichuan", "starcoder", "internlm2",
    "minicpm", "xverse", "command-r", "cohere2", "olmo",     "arctic",
    "deepseek", "granite", "granitemoe", "chameleon", "mistral3"};

// Numbers that say how positions are stretched, under the names of config.json.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::optional<double> Number(const char* name) const = 0;
  virtual bool Flag(const char* name, bool otherwise) const = 0;
  virtual std::string Type() const = 0;
  // One factor for each frequency, from the file; empty where there are none.
  virtual std::vector<float> Factors(const char* name) const = 0;
  virtual bool HasLocalBase() const = 0;
};

class JsonSource final : public Source {
 public:
  JsonSource(const std::string& text, bool local) : local_(local) {
    // ConfigOf has parsed it before.
    TL_CHECK(ParseJson(parser_, text).get(root_) == simdjson::SUCCESS);
    // Newer files have a group for each kind of layer.
    const char* kind = local ? "sliding_attention" : "full_attention";
    AddGroup(root_["rope_parameters"][kind]);
    if (local) return;
    AddGroup(root_["rope_parameters"]);
    AddGroup(root_["rope_scaling"]);
  }

  std::optional<double> Number(const char* name) const override {
    double number;
    for (const Json& group : groups_) {
      if (group[name].get(number) == simdjson::SUCCESS) return number;
    }
    const bool base = local_ && std::string_view(name) == "rope_theta";
    if (root_[base ? kLocalBase : name].get(number) == simdjson::SUCCESS) {
      return number;
    }
    return std::nullopt;
  }
  bool Flag(const char* name, bool otherwise) const override {
    bool flag;
    for (const Json& group : groups_) {
      if (group[name].get(flag) == simdjson::SUCCESS) return flag;
    }
    return otherwise;
  }
  std::string Type() const override {
    std::string_view type;
    for (const Json& group : groups_) {
      for (const char* key : {"rope_type", "type"}) {
        if (group[key].get(type) == simdjson::SUCCESS) return std::string(type);
      }
    }
    return "default";
  }
  std::vector<float> Factors(const char* name) const override {
    std::vector<float> factors;
    for (const Json& group : groups_) {
      simdjson::dom::array array;
      if (group[name].get(array) != simdjson::SUCCESS) continue;
      for (Json item : array) {
        double number;
        if (item.get(number) == simdjson::SUCCESS) {
          factors.push_back(static_cast<float>(number));
        }
      }
      break;
    }
    return factors;
  }
  bool HasLocalBase() const override {
    return !groups_.empty() ||
           root_[kLocalBase].error() == simdjson::SUCCESS;
  }

 private:
  static constexpr const char* kLocalBase = "rope_local_base_freq";

  void AddGroup(simdjson::simdjson_result<Json> found) {
    Json group;
    if (found.get(group) == simdjson::SUCCESS && group.is_object()) {
      groups_.push_back(group);
    }
  }

  bool local_;
  simdjson::dom::parser parser_;
  Json root_;
  std::vector<Json> groups_;
};

class GgufSource final : public Source {
 public:
  GgufSource(const Model& model, bool local)
      : local_(local),
        model_(model),
        arch_(model.metadata().Text("general.architecture").value_or("")) {}

  std::optional<double> Number(const char* name) const override {
    static constexpr std::pair<std::string_view, std::string_view> kKeys[] = {
        {"rope_theta", "rope.freq_base"},
        {"factor", "rope.scaling.factor"},
        {"original_max_position_embeddings",
         "rope.scaling.original_context_length"},
        {"max_position_embeddings", "context_length"},
        {"attention_factor", "rope.scaling.attn_factor"},
        {"beta_fast", "rope.scaling.yarn_beta_fast"},
        {"beta_slow", "rope.scaling.yarn_beta_slow"},
        {"rotated", "rope.dimension_count"}};
    for (auto [json, gguf] : kKeys) {
      if (json != name) continue;
      if (local_ && json == "rope_theta") gguf = kLocalBase;
      const MetadataValue* value =
          model_.metadata().Find(fmt::format("{}.{}", arch_, gguf));
      if (value == nullptr || value->is_array()) return std::nullopt;
      const auto integer = value->Int();
      const auto number = integer ? std::optional(double(*integer))
                                  : value->Real();
      // There a factor of yarn's own.
      const bool more = json == "attention_factor" && Type() == "yarn";
      const double factor = more ? Number("factor").value_or(1) : 1;
      return number && factor > 1
                 ? std::optional(*number * (0.1 * std::log(factor) + 1))
                 : number;
    }
    return std::nullopt;
  }
  bool Flag(const char*, bool otherwise) const override { return otherwise; }
  std::string Type() const override {
    if (local_) return "default";
    if (model_.Find("rope_freqs.weight") != nullptr) return "llama3";
    if (model_.Find("rope_factors_long.weight") != nullptr) return "longrope";
    const auto type = model_.metadata().Text(
        fmt::format("{}.rope.scaling.type", arch_));
    return !type || *type == "none" ? "default" : std::string(*type);
  }
  std::vector<float> Factors(const char* name) const override {
    const TensorEntry* entry = model_.Find(
        std::string_view(name) == "long_factor"    ? "rope_factors_long.weight"
        : std::string_view(name) == "short_factor" ? "rope_factors_short.weight"
                                                   : "rope_freqs.weight");
    if (entry == nullptr || entry->dtype != DType::F32) return {};
    const auto stored = entry->stored();
    std::vector<float> factors(stored.size() / sizeof(float));
    std::memcpy(factors.data(), stored.data(), factors.size() * sizeof(float));
    return factors;
  }
  // What it is in Gemma 3 the architecture says: 10000.
  bool HasLocalBase() const override {
    return arch_ == "gemma3" ||
           model_.metadata().Find(fmt::format("{}.{}", arch_, kLocalBase));
  }

 private:
  static constexpr std::string_view kLocalBase = "rope.freq_base_swa";

  bool local_;
  const Model& model_;
  std::string arch_;
};

// Tensors of models that learn what a position looks like instead.
constexpr std::string_view kLearned[] = {
    "position_embd.weight", "wpe.weight", "transformer.wpe.weight",
    "embeddings.position_embeddings.weight",
    "bert.embeddings.position_embeddings.weight",
    "model.embeddings.position_embeddings.weight"};

// A frequency is kept for each two of them: far more than any head has.
constexpr int64_t kMostRotated = 1 << 16;

class RopeMaker {
 public:
  RopeMaker(const Model& model, const Source& source, int64_t head_dim)
      : model_(model), source_(source) {
    rope_.type = source.Type();
    rope_.base = source.Number("rope_theta").value_or(10000);
    const double part = source.Number("partial_rotary_factor").value_or(1);
    const double dims = std::trunc(
        source.Number("rotated").value_or(double(head_dim) * part));
    if (!(dims >= 2) || dims > double(std::min(head_dim, kMostRotated)) ||
        std::fmod(dims, 2) != 0 || !(rope_.base > 0)) {
      Fail(ErrorKind::kInput,
           "{}: rotates {} of a head's {} numbers with base {}; expected an "
           "even part, at most {}, and a positive base",
           model.Label(), dims, head_dim, rope_.base, kMostRotated);
    }
    rope_.dims = static_cast<int64_t>(dims);
  }

  RopeSettings Make() {
    for (int64_t i = 0; i < rope_.dims; i += 2) {
      plain_.push_back(std::pow(rope_.base, -double(i) / double(rope_.dims)));
    }
    if (rope_.type == "default" || rope_.type == "mrope") {
      rope_.frequencies = Divided(std::vector<double>(plain_.size(), 1));
    } else if (rope_.type == "linear") {
      rope_.frequencies =
          Divided(std::vector<double>(plain_.size(), Required("factor")));
    } else if (rope_.type == "llama3") {
      rope_.factors = Llama3Factors();
      rope_.frequencies = Divided(rope_.factors);
      // In GGUF they are of yarn without its rounding, too.
      if (!source_.Factors("rope_freqs").empty()) {
        rope_.scale = source_.Number("attention_factor").value_or(1);
      }
    } else if (rope_.type == "yarn") {
      MakeYarn();
    } else if (rope_.type == "longrope" || rope_.type == "su") {
      MakeLong();
    } else {
      Fail(ErrorKind::kInput,
           "{}: stretches positions by '{}'; known are linear, llama3, yarn "
           "and longrope", model_.Label(), rope_.type);
    }
    return std::move(rope_);
  }

 private:
  double Required(const char* name) const {
    const std::optional<double> number = source_.Number(name);
    if (!number || !(*number > 0)) {
      Fail(ErrorKind::kInput, "{}: stretches positions by '{}' without '{}'",
           model_.Label(), rope_.type, name);
    }
    return *number;
  }

  template <class T>
  std::vector<float> Divided(const std::vector<T>& factors) const {
    if (factors.size() != plain_.size()) {
      Fail(ErrorKind::kInput,
           "{}: has {} factors for the {} frequencies of its positions",
           model_.Label(), factors.size(), plain_.size());
    }
    std::vector<float> frequencies;
    for (size_t i = 0; i < plain_.size(); ++i) {
      frequencies.push_back(static_cast<float>(plain_[i] / factors[i]));
    }
    return frequencies;
  }

  std::vector<float> Llama3Factors() const {
    std::vector<float> factors = source_.Factors("rope_freqs");
    if (!factors.empty()) return factors;
    Llama3Scaling scaling;
    scaling.factor = Required("factor");
    scaling.low_freq_factor = Required("low_freq_factor");
    scaling.high_freq_factor = Required("high_freq_factor");
    scaling.context = Required("original_max_position_embeddings");
    return RopeFactors(scaling, {.base = rope_.base, .dim = rope_.dims});
  }

  // From the frequencies that stay to those that are slowed wholly.
  struct Ramp {
    double low, high;
    bool rounded;

    double At(double i) const {
      return std::clamp((i - low) / (high - low), 0.0, 1.0);
    }
  };

  Ramp YarnRamp(double context) const {
    const auto dim_of = [&](const char* turns, double usual) {
      return double(rope_.dims) *
             std::log(context / (source_.Number(turns).value_or(usual) * 2 *
                                 std::numbers::pi)) /
             (2 * std::log(rope_.base));
    };
    Ramp ramp{dim_of("beta_fast", 32), dim_of("beta_slow", 1),
              source_.Flag("truncate", true)};
    if (ramp.rounded) {
      ramp.low = std::floor(ramp.low);
      ramp.high = std::ceil(ramp.high);
    }
    ramp.low = std::max(ramp.low, 0.0);
    ramp.high = std::min(ramp.high, double(rope_.dims - 1));
    if (ramp.low == ramp.high) ramp.high += 0.001;
    return ramp;
  }

  // Peng et al. 2023, as transformers computes it: waves that fit the original
  // context less than beta_slow times are slowed, more than beta_fast times not.
  void MakeYarn() {
    const double factor = Required("factor");
    const double context =
        source_.Number("original_max_position_embeddings")
            .value_or(source_.Number("max_position_embeddings").value_or(0));
    if (!(context > 0)) Required("original_max_position_embeddings");
    const Ramp ramp = YarnRamp(context);
    for (size_t i = 0; i < plain_.size(); ++i) {
      const double slowed = ramp.At(double(i));
      const double by = slowed / factor + (1 - slowed);
      rope_.frequencies.push_back(static_cast<float>(plain_[i] * by));
      if (!ramp.rounded) {
        rope_.factors.push_back(static_cast<float>(1 / by));
      }
    }
    const auto scale_of = [factor](double share) {
      return factor <= 1 ? 1 : 0.1 * share * std::log(factor) + 1;
    };
    const double share = source_.Number("mscale").value_or(0);
    const double of_all = source_.Number("mscale_all_dim").value_or(0);
    const double scale = share != 0 && of_all != 0
                             ? scale_of(share) / scale_of(of_all)
                             : scale_of(1);
    rope_.scale = source_.Number("attention_factor").value_or(scale);
  }

  // Ding et al. 2024: factors for short and for long texts.
  void MakeLong() {
    rope_.type = "longrope";
    rope_.factors = source_.Factors("short_factor");
    rope_.long_factors = source_.Factors("long_factor");
    rope_.frequencies = Divided(rope_.factors);
    rope_.long_frequencies = Divided(rope_.long_factors);
    const double original = Required("original_max_position_embeddings");
    rope_.original_context =
        static_cast<int64_t>(std::min(original, double(int64_t{1} << 53)));
    const double factor =
        source_.Number("factor").value_or(
            source_.Number("max_position_embeddings").value_or(original) /
            original);
    rope_.scale = source_.Number("attention_factor")
                      .value_or(factor <= 1 ? 1
                                            : std::sqrt(1 + std::log(factor) /
                                                                std::log(original)));
  }

  const Model& model_;
  const Source& source_;
  RopeSettings rope_;
  std::vector<double> plain_;
};

std::unique_ptr<Source> SourceOf(const Model& model, bool local) {
  const std::optional<std::string> text =
      model.format() == "GGUF" ? std::nullopt : model.ConfigJson();
  if (text) return std::make_unique<JsonSource>(*text, local);
  return std::make_unique<GgufSource>(model, local);
}

std::optional<RopeSettings> SettingsOf(const Model& model, bool local) {
  const ModelConfig config = ConfigOf(model);
  const int64_t head_dim = CountIn(config, "head_dim");
  if (head_dim == 0) return std::nullopt;
  for (std::string_view name : kLearned) {
    if (model.Find(name) != nullptr) return std::nullopt;
  }
  const std::unique_ptr<Source> source = SourceOf(model, local);
  if (local && !source->HasLocalBase()) return std::nullopt;
  RopeSettings rope = RopeMaker(model, *source, head_dim).Make();
  const auto arch = model.metadata().Text("general.architecture");
  const bool named = model.Find("token_embd.weight") != nullptr;
  rope.halves = !named || !arch ||
                std::ranges::find(kNeighbours, *arch) == std::end(kNeighbours);
  return rope;
}

}  // namespace

std::optional<RopeSettings> RopeOf(const Model& model) {
  return SettingsOf(model, false);
}

std::optional<RopeSettings> LocalRopeOf(const Model& model) {
  return SettingsOf(model, true);
}

}  // namespace tl
