// The adapter_config.json that PEFT writes beside a LoRA adapter: what of it
// decides the numbers of the merged weights. A kind of adapter, or a way of
// training one, that would need other arithmetic is refused by its key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tl {

struct PeftConfig {
  std::string path;
  int64_t rank = 8;
  double alpha = 8;
  bool rank_stabilized = false;  // scaled by alpha / sqrt(rank)
  bool dora = false;
  bool fan_in_fan_out = false;  // weights are [in, out]
  // By module, where it is not the same for all.
  std::vector<std::pair<std::string, double>> ranks;
  std::vector<std::pair<std::string, double>> alphas;

  int64_t RankOf(std::string_view module) const;
  // What the product of a module's matrices is multiplied by.
  double ScalingOf(std::string_view module) const;
};

// Fails, naming the byte or the key, for anything but LoRA.
PeftConfig ReadPeftConfig(const std::string& path);

}  // namespace tl
