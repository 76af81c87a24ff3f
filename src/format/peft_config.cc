#include "format/peft_config.h"

#include <array>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "format/json.h"
#include "format/model.h"

namespace tl {
namespace {

// Real ones have a KB, with patterns for each layer some more.
constexpr int64_t kMaxConfig = 1 << 20;
// More than any weight has columns.
constexpr int64_t kMaxRank = 1 << 20;

// Keys that may be there, but not set, and what they would ask for.
struct RefusedKey {
  std::string_view key;
  std::string_view what;
};
constexpr auto kRefused = std::to_array<RefusedKey>({
    {"alora_invocation_tokens", "an adapter that is active after some tokens"},
    {"arrow_config", "a router between adapters"},
    {"kasa_config", "KaSA's own scaling"},
    {"layer_replication", "layers that are there several times"},
    {"monteclora_config", "weights that are drawn at random"},
    {"target_parameters", "parameters that are no weight of a module"},
    {"trainable_token_indices", "single rows of the embedding"},
    {"use_bdlora", "matrices in blocks"},
    {"use_qalora", "inputs that are pooled in groups"},
});

// How PEFT may have begun without changing the model's own weights.
constexpr auto kHarmlessInits =
    std::to_array<std::string_view>({"gaussian", "eva", "orthogonal"});

std::string_view KindName(simdjson::ondemand::json_type type) {
  using Type = simdjson::ondemand::json_type;
  switch (type) {
    case Type::array:
      return "an array";
    case Type::object:
      return "an object";
    case Type::string:
      return "a text";
    case Type::boolean:
      return "true or false";
    case Type::number:
      return "a number";
    case Type::null:
      return "null";
  }
  return "something else";
}

class ConfigReader {
 public:
  explicit ConfigReader(const std::string& path)
      : document_(path, simdjson::padded_string(ReadTextFile(path, kMaxConfig)),
                  0) {
    config_.path = path;
  }

  PeftConfig Run() {
    document_.ReadObject([this](JsonDocument::Object object) {
      for (JsonDocument::Field field : object) {
        const std::string key(document_.Key(field));
        if (!seen_.insert(key).second) {
          FailKey("{} is there twice", QuoteName(key));
        }
        Read(key, field.value());
      }
    });
    for (const char* key : {"peft_type", "r", "lora_alpha"}) {
      if (!seen_.contains(key)) FailKey("has no '{}'", key);
    }
    return std::move(config_);
  }

 private:
  using Json = JsonDocument::Value;
  using Type = simdjson::ondemand::json_type;

  template <class... Args>
  [[noreturn]] void FailKey(fmt::format_string<Args...> format,
                            Args&&... args) const {
    Fail(ErrorKind::kInput, "{}: {}", config_.path,
         fmt::format(format, std::forward<Args>(args)...));
  }

  void Read(const std::string& key, Json value) {
    if (key == "peft_type") return ReadKind(value);
    if (key == "r") return void(config_.rank = RankIn(key, value));
    if (key == "lora_alpha") return void(config_.alpha = Number(key, value));
    if (key == "use_rslora") return Flag(key, value, config_.rank_stabilized);
    if (key == "use_dora") return Flag(key, value, config_.dora);
    if (key == "fan_in_fan_out") {
      return Flag(key, value, config_.fan_in_fan_out);
    }
    if (key == "init_lora_weights") return ReadInit(value);
    if (key == "rank_pattern") {
      return ReadPattern(key, value, config_.ranks,
                         [this](auto... of) { return double(RankIn(of...)); });
    }
    if (key == "alpha_pattern") {
      return ReadPattern(key, value, config_.alphas,
                         [this](auto... of) { return Number(of...); });
    }
    for (const RefusedKey& refused : kRefused) {
      if (key != refused.key) continue;
      if (!IsSet(value)) return;
      FailKey("'{}' asks for {}, which is not supported", key, refused.what);
    }
    document_.Skip(value);
  }

  void Expect(std::string_view key, Json value, Type expected) {
    const Type type = value.type();
    if (type == expected) return;
    document_.Skip(value);  // the type is a guess from its first letter
    FailKey("'{}' is {}; expected {}", key, KindName(type), KindName(expected));
  }

  void ReadKind(Json value) {
    Expect("peft_type", value, Type::string);
    const std::string_view kind = value.get_string();
    if (kind != "LORA") {
      FailKey("'peft_type' is {}; only adapters of the type 'LORA' are merged",
              QuoteName(kind));
    }
  }

  void Flag(std::string_view key, Json value, bool& flag) {
    Expect(key, value, Type::boolean);
    flag = value.get_bool();
  }

  double Number(std::string_view key, Json value) {
    Expect(key, value, Type::number);
    const double number = value.get_double();
    if (!std::isfinite(number)) FailKey("'{}' is {}", key, number);
    return number;
  }

  int64_t RankIn(std::string_view key, Json value) {
    Expect(key, value, Type::number);
    const double rank = value.get_double();
    if (!(rank >= 1 && rank <= kMaxRank)) {
      FailKey("'{}' has a rank of {}, expected 1 to {}", key, rank, kMaxRank);
    }
    if (rank != std::floor(rank)) {
      FailKey("'{}' has a rank of {}, expected a whole number", key, rank);
    }
    return static_cast<int64_t>(rank);
  }

  // PEFT subtracts from the model's weights what some of these begin with, and
  // a file does not say whether it was put back.
  void ReadInit(Json value) {
    if (value.type() != Type::string) return document_.Skip(value);
    const std::string_view init = value.get_string();
    for (std::string_view harmless : kHarmlessInits) {
      if (init == harmless) return;
    }
    FailKey(
        "'init_lora_weights' is {}, which changes the model's own weights; "
        "convert the adapter to plain LoRA with PEFT first",
        QuoteName(init));
  }

  // Whether it is neither null, false nor empty; if not, it has been read.
  bool IsSet(Json value) {
    switch (value.type()) {
      case Type::array:
        for ([[maybe_unused]] auto item : value.get_array()) return true;
        return false;
      case Type::object:
        for ([[maybe_unused]] auto field : value.get_object()) return true;
        return false;
      case Type::boolean:
        return value.get_bool();
      case Type::null:
        document_.Skip(value);
        return false;
      default:
        return true;
    }
  }

  template <class F>
  void ReadPattern(const std::string& key, Json value,
                   std::vector<std::pair<std::string, double>>& numbers,
                   F&& read) {
    if (value.type() == Type::null) return document_.Skip(value);
    Expect(key, value, Type::object);
    for (JsonDocument::Field field : value.get_object()) {
      const std::string pattern(document_.Key(field));
      numbers.emplace_back(ModuleIn(key, pattern), read(key, field.value()));
    }
  }

  // The end of a module's name. PEFT takes it for a regular expression.
  std::string ModuleIn(std::string_view key, std::string_view pattern) const {
    std::string module;
    for (size_t i = 0; i < pattern.size(); ++i) {
      const char c = pattern[i];
      const bool anchor =
          (c == '^' && i == 0) || (c == '$' && i + 1 == pattern.size());
      if (anchor) continue;
      if (pattern.substr(i, 2) == "\\.") ++i;
      if (std::string_view("*+?()[]{}|\\^$").find(pattern[i]) !=
          std::string_view::npos) {
        FailKey(
            "'{}' has the regular expression {}; only names of modules are "
            "known",
            key, QuoteName(pattern));
      }
      module += pattern[i];
    }
    return module;
  }

  JsonDocument document_;
  std::set<std::string> seen_;
  PeftConfig config_;
};

// The number of the first name that `module` ends in.
double FindFor(std::string_view module,
               const std::vector<std::pair<std::string, double>>& numbers,
               double otherwise) {
  for (const auto& [name, number] : numbers) {
    if (module == name || module.ends_with("." + name)) return number;
  }
  return otherwise;
}

}  // namespace

int64_t PeftConfig::RankOf(std::string_view module) const {
  return static_cast<int64_t>(
      FindFor(module, ranks, static_cast<double>(rank)));
}

double PeftConfig::ScalingOf(std::string_view module) const {
  const auto of_module = static_cast<double>(RankOf(module));
  return FindFor(module, alphas, alpha) /
         (rank_stabilized ? std::sqrt(of_module) : of_module);
}

PeftConfig ReadPeftConfig(const std::string& path) {
  return ConfigReader(path).Run();
}

}  // namespace tl
