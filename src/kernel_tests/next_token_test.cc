// Against a draw in double from a sorted row.
#include <numeric>

#include "base/philox.h"
#include "base/token_draw.h"
#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Options {
  double temperature = 1;
  int64_t top_k = 40;
  double top_p = 1;
  double min_p = 0;
};

int64_t Reference(const std::vector<double>& logits, const Options& o,
                  uint64_t seed) {
  const auto n = static_cast<int64_t>(logits.size());
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a > b;
  });
  const double largest = logits[order[0]];
  if (o.temperature <= 1e-4) {
    return std::find(logits.begin(), logits.end(), largest) - logits.begin();
  }
  const double kth = logits[order[std::min(o.top_k, n) - 1]];
  std::vector<double> weights(n, 0.0);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (logits[i] < kth) continue;
    weights[i] = std::exp((logits[i] - largest) / o.temperature);
    total += weights[i];
  }
  double mass = 0;
  for (int64_t i = 0; i < n; ++i) {
    const bool cut = i > 0 && mass >= o.top_p * total * (1 - 1e-12);
    mass += weights[order[i]];
    if (cut || weights[order[i]] < o.min_p) weights[order[i]] = 0;
  }
  double rest = double{UniformAt(0, seed)} *
                std::accumulate(weights.begin(), weights.end(), 0.0);
  int64_t last = -1;
  for (int64_t i = 0; i < n; ++i) {
    if (weights[i] == 0) continue;
    last = i;
    if (rest < weights[i]) break;
    rest -= weights[i];
  }
  return last;
}

double Draw(const TestArray& logits, const Options& o, uint64_t seed) {
  const TestArray token = Poisoned(DType::I32, {1});
  Call(NextToken, {logits}, {token}, {o.top_k},
       {o.temperature, o.top_p, o.min_p, double(uint32_t(seed)),
        double(seed >> 32)});
  return token.Get(0);
}

void DrawAndExpect(const TestArray& logits, const Options& o) {
  for (uint64_t seed : {uint64_t{3}, uint64_t{5} << 32 | 7, ~uint64_t{0}}) {
    ASSERT_EQ(Draw(logits, o, seed),
              static_cast<double>(Reference(logits.Values(), o, seed)))
        << logits.dims.back() << " logits, temperature " << o.temperature
        << ", top_k " << o.top_k << ", top_p " << o.top_p << ", min_p "
        << o.min_p << ", seed " << seed;
  }
}

TEST(NextTokenTest, DrawsFromTheFewBest) {
  uint32_t seed = 1;
  for (DType dtype : {DType::F16, DType::F32}) {
    for (int64_t n : {1, 2, 31, 32, 33, 500, 5000}) {
      for (int64_t k : {int64_t{1}, int64_t{2}, int64_t{40}, n, kMostTopK}) {
        if (k > kMostTopK) continue;
        const TestArray x = RandomArray(dtype, {n}, ++seed, -9, 9);
        DrawAndExpect(x, {1, k, 1, 0});
        DrawAndExpect(x, {0.7, k, 0.9, 0.05});
        DrawAndExpect(x, {3, k, 0.5, 0});
        DrawAndExpect(x, {0, k, 1, 0});
      }
    }
  }
}

// More of them than a block has threads, too.
TEST(NextTokenTest, KeepsAllThatEqualTheLast) {
  for (int64_t n : {7, 64, 700, 3000}) {
    for (int values : {1, 2, 5}) {
      const TestArray x = Poisoned(DType::F16, {1, n});
      for (int64_t i = 0; i < n; ++i) {
        x.Set(i, static_cast<double>(i * i * 31 % 17 % values) / 4);
      }
      for (int64_t k : {1, 3, 40, 1024}) {
        DrawAndExpect(x, {1, k, 1, 0});
        DrawAndExpect(x, {1, k, 0.5, 0});
        DrawAndExpect(x, {0.5, k, 0.9, 0.3});
        DrawAndExpect(x, {0, k, 0.9, 0.3});
      }
    }
  }
}

// Logits that differ and whose scores do not.
TEST(NextTokenTest, TakesWhatRoundsToTheSameScoreForEqual) {
  const TestArray x = Poisoned(DType::F32, {40});
  for (int64_t i = 0; i < 40; ++i) x.Set(i, static_cast<double>(i) * 1e-9);
  x.Set(17, 2);
  for (int64_t k : {3, 20, 40}) {
    for (double p : {0.3, 0.6, 0.8, 0.95, 1.0}) {
      const TestArray rounded = Poisoned(DType::F32, {40});
      for (int64_t i = 0; i < 40; ++i) {
        rounded.Set(i, i == 17 ? 2 : i >= 41 - k - (17 >= 41 - k) ? 0 : -50);
      }
      const Options options = {1, k, p, 0};
      for (uint64_t seed = 0; seed < 20; ++seed) {
        ASSERT_EQ(Draw(x, options, seed), Draw(rounded, options, seed))
            << k << " " << p << " " << seed;
      }
    }
  }
}

TEST(NextTokenTest, TakesWhatIsCutForNothing) {
  const TestArray x = Poisoned(DType::F32, {100});
  for (int64_t i = 0; i < 100; ++i) x.Set(i, i % 9 == 4 ? 1.0 * i : -kInf);
  for (int64_t k : {1, 5, 50, 100}) {
    DrawAndExpect(x, {10, k, 1, 0});
    DrawAndExpect(x, {10, k, 0.9, 0});
    DrawAndExpect(x, {0, k, 1, 0});
  }
}

TEST(NextTokenTest, IsMinusOneWhereThereIsNothingToDraw) {
  for (DType dtype : {DType::F16, DType::F32}) {
    for (int64_t at : {0, 40, 99}) {
      const TestArray x = RandomArray(dtype, {100}, 1);
      x.Set(at, std::nan(""));
      EXPECT_EQ(Draw(x, {}, 1), -1);
      EXPECT_EQ(Draw(x, {0}, 1), -1);
      x.Set(at, kInf);
      EXPECT_EQ(Draw(x, {}, 1), -1);
      EXPECT_EQ(Draw(x, {0}, 1), static_cast<double>(at));
    }
    const TestArray x = Poisoned(dtype, {50});
    for (int64_t i = 0; i < 50; ++i) x.Set(i, -kInf);
    EXPECT_EQ(Draw(x, {}, 1), -1);
    EXPECT_EQ(Draw(x, {0}, 1), -1);
  }
}

}  // namespace
}  // namespace tl::TL_KERNELS
