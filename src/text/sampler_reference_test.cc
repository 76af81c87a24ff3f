// The sampler against what Hugging Face's transformers left of the same rows:
// tests/references/sampling/cases.json, which generate.py beside it wrote.
#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>

#include "text/sampler.h"

namespace tl {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

double NumberOr(object options, const char* name, double otherwise) {
  element value;
  return options[name].get(value) ? otherwise : double(value.get_double());
}

SamplerOptions OptionsOf(object json) {
  SamplerOptions options;
  options.temperature = NumberOr(json, "temperature", 1);
  options.top_k = static_cast<int64_t>(NumberOr(json, "top_k", 0));
  options.top_p = NumberOr(json, "top_p", 1);
  options.min_p = NumberOr(json, "min_p", 0);
  options.typical_p = NumberOr(json, "typical_p", 1);
  options.repetition_penalty = NumberOr(json, "repetition_penalty", 1);
  object bias;
  if (!json["logit_bias"].get(bias)) {
    for (const auto& [token, added] : bias) {
      options.bias.emplace_back(std::stoll(std::string(token)),
                                double(added.get_double()));
    }
  }
  return options;
}

std::vector<int64_t> HistoryOf(object json) {
  std::vector<int64_t> history;
  simdjson::dom::array tokens;
  if (json["history"].get(tokens)) return history;
  for (element token : tokens) history.push_back(int64_t(token));
  return history;
}

TEST(Sampler, LeavesWhatTransformersLeave) {
  simdjson::dom::parser parser;
  const element file =
      parser.load(TL_SOURCE_DIR "/tests/references/sampling/cases.json");
  std::vector<std::vector<float>> rows;
  for (element row : file["rows"]) {
    for (rows.emplace_back(); element logit : row) {
      rows.back().push_back(static_cast<float>(double(logit.get_double())));
    }
  }
  size_t compared = 0;
  for (element item : file["cases"]) {
    const object options = item["options"];
    SCOPED_TRACE(simdjson::minify(item).substr(0, 200));
    const auto left =
        Sampler(OptionsOf(options))
            .Candidates(rows[uint64_t(item["row"])], HistoryOf(options));
    const simdjson::dom::array tokens = item["tokens"];
    const simdjson::dom::array probabilities = item["probabilities"];
    ASSERT_EQ(left.size(), tokens.size());
    for (size_t i = 0; i < left.size(); ++i) {
      EXPECT_EQ(left[i].token, int64_t(tokens.at(i)));
      const double p = double(probabilities.at(i).get_double());
      EXPECT_NEAR(left[i].probability, p, 1e-5 * p);
    }
    ++compared;
  }
  EXPECT_GE(compared, 75u);
}

}  // namespace
}  // namespace tl
