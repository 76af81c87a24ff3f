// How a language model tells positions apart: the angles by which it rotates
// pairs of a head's numbers (Su et al. 2021), with the ways in which models
// stretch them to longer texts. From config.json (keys of Hugging Face
// transformers) or from the metadata of a GGUF model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/model.h"

namespace tl {

struct RopeSettings {
  // "default", "linear", "llama3", "yarn" or "longrope".
  std::string type = "default";
  double base = 10000;
  int64_t dims = 0;  // numbers of a head that are rotated, its first ones
  // Number i goes with number i + dims / 2, as in Hugging Face's weights; or
  // with its neighbour, as GGUF orders the rows of some architectures.
  bool halves = true;
  // Radians from a position to the next, dims / 2 of them.
  std::vector<float> frequencies;
  // Of texts of more positions than `original_context`; empty if the same.
  std::vector<float> long_frequencies;
  // What the plain frequencies were divided by, where each has a factor of its
  // own: Llama 3, both of longrope, and yarn whose ramp is not rounded, which
  // GGUF says this way only.
  std::vector<float> factors, long_factors;
  int64_t original_context = 0;
  double scale = 1;  // of the rotated numbers
};

// Nothing for a model that says no heads, or has other positions. Fails for a
// way of stretching that is not known, or without its numbers.
std::optional<RopeSettings> RopeOf(const Model& model);

// Of layers that attend to a window only, where they have a base of their own:
// Gemma 3. Nothing for other models.
std::optional<RopeSettings> LocalRopeOf(const Model& model);

}  // namespace tl
