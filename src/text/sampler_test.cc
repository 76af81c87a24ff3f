#include "text/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/philox.h"

namespace tl {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
using Row = std::vector<float>;
using Tokens = std::vector<int64_t>;

SamplerOptions With(auto change) {
  SamplerOptions options;
  change(options);
  return options;
}

Tokens Left(const SamplerOptions& options, const Row& logits,
            const Tokens& history = {}) {
  Tokens tokens;
  for (const auto& c : Sampler(options).Candidates(logits, history)) {
    tokens.push_back(c.token);
  }
  return tokens;
}

// ln of probabilities that sum up to 1.
Row Logs(const Row& probabilities) {
  Row logits;
  for (float p : probabilities) logits.push_back(std::log(p));
  return logits;
}

std::string Fault(auto f) {
  try {
    f();
  } catch (const Error& error) {
    return error.text();
  }
  return "none";
}

TEST(Sampler, WithoutATemperatureTheFirstOfTheLargestIsTaken) {
  Sampler sampler(With([](auto& o) { o.temperature = 0; }));
  EXPECT_EQ(sampler.Draw(Row{1, 3, 2, 3}, {}, 0.9f), 1);
  EXPECT_EQ(sampler.Draw(Row{-kInfinity, -5}, {}, 0), 1);
  EXPECT_EQ(sampler.Draw(Row{0, kInfinity}, {}, 0), 1);
}

TEST(Sampler, ProbabilitiesAreTheSoftmaxOfLogitsOverTemperature) {
  Sampler sampler(With([](auto& o) { o.temperature = 0.5; }));
  const auto c = sampler.Candidates(Row{0, 1, -kInfinity, 2}, {});
  ASSERT_EQ(c.size(), 3u);
  const double sum = 1 + std::exp(2.0) + std::exp(4.0);
  EXPECT_NEAR(c[0].probability, 1 / sum, 1e-8);
  EXPECT_NEAR(c[1].probability, std::exp(2.0) / sum, 1e-7);
  EXPECT_NEAR(c[2].probability, std::exp(4.0) / sum, 1e-7);
  EXPECT_EQ(c[2].token, 3);
}

TEST(Sampler, TopKKeepsAllThatEqualTheKth) {
  const auto top = [](int64_t k) {
    return Left(With([k](auto& o) { o.top_k = k; }), {5, 1, 3, 3, 3, 2});
  };
  EXPECT_EQ(top(1), (Tokens{0}));
  EXPECT_EQ(top(2), (Tokens{0, 2, 3, 4}));
  EXPECT_EQ(top(5), (Tokens{0, 2, 3, 4, 5}));
  EXPECT_EQ(top(0), (Tokens{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(top(99), (Tokens{0, 1, 2, 3, 4, 5}));
}

TEST(Sampler, TopPKeepsTheMostLikelyUpToP) {
  const Row logits = Logs({0.1f, 0.4f, 0.3f, 0.2f});
  const auto top = [&](double p) {
    return Left(With([p](auto& o) { o.top_p = p; }), logits);
  };
  EXPECT_EQ(top(0), (Tokens{1}));
  EXPECT_EQ(top(0.39), (Tokens{1}));
  EXPECT_EQ(top(0.41), (Tokens{1, 2}));
  EXPECT_EQ(top(0.71), (Tokens{1, 2, 3}));
  EXPECT_EQ(top(0.91), (Tokens{0, 1, 2, 3}));
}

TEST(Sampler, TopPKeepsOfEqualLogitsThoseWithHigherNumbers) {
  EXPECT_EQ(Left(With([](auto& o) { o.top_p = 0.5; }), Row{1, 1, 1, 1}),
            (Tokens{2, 3}));
}

TEST(Sampler, MinPKeepsWhatIsNotMuchLessLikelyThanTheFirst) {
  const Row logits = Logs({0.1f, 0.4f, 0.3f, 0.2f});
  const auto min = [&](double p) {
    return Left(With([p](auto& o) { o.min_p = p; }), logits);
  };
  EXPECT_EQ(min(0.2), (Tokens{0, 1, 2, 3}));
  EXPECT_EQ(min(0.3), (Tokens{1, 2, 3}));
  EXPECT_EQ(min(0.6), (Tokens{1, 2}));
  EXPECT_EQ(min(1), (Tokens{1}));
}

// The mean surprise is 1.010 nats; 0.7 is 0.653 away from it, 0.1 1.293 and
// 0.05 1.986.
TEST(Sampler, TypicalKeepsTheNearestToTheMeanSurprise) {
  const Row logits = Logs({0.05f, 0.7f, 0.1f, 0.1f, 0.05f});
  const auto typical = [&](double p) {
    return Left(With([p](auto& o) { o.typical_p = p; }), logits);
  };
  EXPECT_EQ(typical(0.2), (Tokens{1}));
  EXPECT_EQ(typical(0.75), (Tokens{1, 2, 3}));
  EXPECT_EQ(typical(0.95), (Tokens{0, 1, 2, 3, 4}));
}

TEST(Sampler, FiltersApplyOneAfterTheOther) {
  // Of 0.4, 0.3, 0.2, 0.1 top-k leaves 4/7 and 3/7, and top-p then the first.
  EXPECT_EQ(Left(With([](auto& o) { o.top_k = 2, o.top_p = 0.5; }),
                 Logs({0.1f, 0.4f, 0.3f, 0.2f})),
            (Tokens{1}));
}

TEST(Sampler, PenaltiesApplyToWhatOccurred) {
  const auto first = [](auto change) {
    Row logits{4, -2, 3, 2};
    SamplerOptions options = With(change);
    Sampler sampler(options);
    std::map<int64_t, double> ratio;  // logits, up to a constant
    for (const auto& c : sampler.Candidates(logits, Tokens{1, 0, 0})) {
      ratio[c.token] = std::log(c.probability);
    }
    for (auto& [token, value] : ratio) {
      if (token != 2) value -= ratio[2];
    }
    return std::vector<double>{ratio[0], ratio[1], ratio[3]};
  };
  const auto expect = [](std::vector<double> got, std::vector<double> wanted) {
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_NEAR(got[i], wanted[i], 1e-5);
  };
  expect(first([](auto& o) { o.repetition_penalty = 2; }), {-1, -7, -1});
  expect(first([](auto& o) { o.presence_penalty = 0.5; }), {0.5, -5.5, -1});
  expect(first([](auto& o) { o.frequency_penalty = 0.5; }), {0, -5.5, -1});
  expect(first([](auto& o) { o.bias = {{3, 1.5}, {0, -1}}; }), {0, -5, 0.5});
}

TEST(Sampler, ABiasOfMinusInfinityForbids) {
  EXPECT_EQ(Left(With([](auto& o) {
                   o.bias = {{1, -kInfinity}};
                 }),
                 {1, 9, 1}),
            (Tokens{0, 2}));
}

// Chi-square of 100,000 draws; with 4 degrees of freedom 18.5 is exceeded by
// one seed in a thousand.
double ChiSquare(Sampler& sampler, const Row& logits) {
  std::map<int64_t, int> counts;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[sampler.Draw(logits, {}, UniformAt(i, 2026))];
  }
  double sum = 0, seen = 0;
  for (const auto& c : sampler.Candidates(logits, {})) {
    const double expected = kDraws * c.probability;
    const double off = counts[c.token] - expected;
    sum += off * off / expected;
    seen += counts[c.token];
  }
  EXPECT_EQ(seen, kDraws);
  return sum;
}

TEST(Sampler, DrawsHaveTheProbabilities) {
  Sampler plain(With([](auto& o) { o.temperature = 0.7; }));
  EXPECT_LT(ChiSquare(plain, {1, 0.5, 2, -1, 0}), 18.5);
  Sampler cut(With([](auto& o) { o.top_k = 5, o.min_p = 0.01; }));
  EXPECT_LT(ChiSquare(cut, {1, 0.5, 2, -1, 0, -3, -9}), 18.5);
}

TEST(Sampler, DrawsReachAcrossBlocksOfSums) {
  Row logits(5000, -kInfinity);
  logits[10] = logits[3000] = 0;
  logits[4999] = 1;
  Sampler sampler({});
  const float e = 2.7182818f;
  EXPECT_EQ(sampler.Draw(logits, {}, 0), 10);
  EXPECT_EQ(sampler.Draw(logits, {}, 0.9f / (2 + e)), 10);
  EXPECT_EQ(sampler.Draw(logits, {}, 1.5f / (2 + e)), 3000);
  EXPECT_EQ(sampler.Draw(logits, {}, 0x1.fffffep-1f), 4999);
}

// A row of many against sorting it.
TEST(Sampler, ThresholdsAgreeWithSorting) {
  Row logits(20000);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = 12 * UniformAt(i, 7) - 6;
  }
  std::vector<int64_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a > b;
  });
  double total = 0;
  for (float x : logits) total += std::exp(double{x});
  for (double p : {0.001, 0.3, 0.9, 0.9999}) {
    Tokens expected;
    double mass = 0;
    for (int64_t token : order) {
      if (mass >= p * total) break;
      expected.push_back(token);
      mass += std::exp(double{logits[token]});
    }
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(Left(With([p](auto& o) { o.top_p = p; }), logits), expected) << p;
  }
  for (size_t k : {1, 40, 900, 15000}) {
    Tokens expected(order.begin(), order.begin() + k);
    while (expected.size() < order.size() &&
           logits[order[expected.size()]] == logits[expected.back()]) {
      expected.push_back(order[expected.size()]);
    }
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(Left(With([k](auto& o) { o.top_k = k; }), logits), expected) << k;
  }
}

TEST(Sampler, SaysWhichOptionIsWrong) {
  const auto fault = [](auto change) {
    return Fault([&] { Sampler sampler(With(change)); });
  };
  EXPECT_EQ(fault([](auto& o) { o.temperature = -1; }),
            "sampler: 'temperature' is -1; expected a finite number, 0 (the "
            "largest logit) or more");
  EXPECT_EQ(fault([](auto& o) { o.top_k = -3; }),
            "sampler: 'top_k' is -3; expected 0 (all) or more");
  EXPECT_EQ(fault([](auto& o) { o.top_p = 1.5; }),
            "sampler: 'top_p' is 1.5; expected a number from 0 to 1 (all)");
  EXPECT_EQ(fault([](auto& o) { o.min_p = kNaN; }),
            "sampler: 'min_p' is nan; expected a number from 0 (all) to 1");
  EXPECT_EQ(
      fault([](auto& o) { o.repetition_penalty = 0; }),
      "sampler: 'repetition_penalty' is 0; expected a finite number above "
      "0; 1 changes nothing");
}

TEST(Sampler, SaysWhichLogitIsWrong) {
  const auto fault = [](const Row& logits, const Tokens& history = {}) {
    return Fault([&] {
      Sampler(With([](auto& o) {
        o.presence_penalty = 1;
      })).Draw(logits, history, 0);
    });
  };
  EXPECT_EQ(fault({1, 2, kNaN}), "sampler: logit 2 of 3 is NaN");
  EXPECT_EQ(fault({1, kInfinity}),
            "sampler: logit 1 of 2 is inf; a draw needs finite ones");
  EXPECT_EQ(fault({-kInfinity, -kInfinity}),
            "sampler: all of 2 logits are -inf");
  EXPECT_EQ(fault({}), "sampler: a row of 0 logits");
  EXPECT_EQ(fault({1, 2}, {5}),
            "sampler: token 5 of 'history'; there are 2 logits");
}

// A draw of the few best takes another way than Candidates does.
TEST(Sampler, AFewAreDrawnByTheProbabilitiesOfAll) {
  uint64_t seed = 1;
  for (int64_t n : {1, 5, 100, 3000}) {
    for (int values : {3, 40, 1 << 20}) {  // few: most are ties
      for (int64_t k : {1, 2, 40, 1024}) {
        for (double p : {0.0, 0.5, 0.95, 1.0}) {
          Row logits(static_cast<size_t>(n));
          ++seed;
          for (int64_t i = 0; i < n; ++i) {
            logits[i] = std::floor(UniformAt(i, seed) * values) * 9 / values;
          }
          Sampler sampler(With([&](auto& o) {
            o.temperature = 1.5;
            o.top_k = k;
            o.top_p = p;
            o.min_p = p < 0.9 ? 0 : 0.01;
          }));
          const float uniform = UniformAt(0, ~seed);
          int64_t expected = -1;
          double rest = uniform;
          for (const auto& c : sampler.Candidates(logits, {})) {
            expected = c.token;
            if (rest < c.probability) break;
            rest -= c.probability;
          }
          ASSERT_EQ(sampler.Draw(logits, {}, uniform), expected)
              << n << " " << values << " " << k << " " << p;
        }
      }
    }
  }
}

TEST(DrawFrom, DrawsByWeight) {
  const Row weights{0, 1, 0, 3, 0};
  EXPECT_EQ(DrawFrom(weights, 0), 1);
  EXPECT_EQ(DrawFrom(weights, 0.24f), 1);
  EXPECT_EQ(DrawFrom(weights, 0.25f), 3);
  EXPECT_EQ(DrawFrom(weights, 0x1.fffffep-1f), 3);
}

TEST(DrawFrom, SaysWhatIsNoProbability) {
  EXPECT_EQ(Fault([] {
              DrawFrom(Row{1, -0.5f}, 0);
            }),
            "sample: probability 1 of 2 is -0.5; expected a finite one, 0 or "
            "more");
  EXPECT_EQ(Fault([] {
              DrawFrom(Row{0, 0}, 0);
            }),
            "sample: all of 2 probabilities are 0");
}

}  // namespace
}  // namespace tl
