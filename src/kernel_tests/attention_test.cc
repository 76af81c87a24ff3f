#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

struct Options {
  bool causal = false;
  int64_t window = 0;
  double scale = 0.3;
  double softcap = 0;
  int64_t keys = 0;  // of the buffers of k and v that are written; 0: all
};

bool Sees(const Options& options, int64_t at, int64_t key) {
  if (options.causal && key > at) return false;
  return options.window == 0 || std::abs(key - at) < options.window;
}

// In double, element by element. `mask` may be null.
std::vector<double> AttentionOf(const TestArray& q, const TestArray& k,
                                const TestArray& v, const TestArray* mask,
                                const Options& options) {
  const size_t r = q.dims.size();
  const int64_t sq = q.dims[r - 3], heads = q.dims[r - 2], dim = q.dims[r - 1];
  const int64_t sk = k.dims[r - 3], kv_heads = k.dims[r - 2];
  const int64_t value_dim = v.dims[r - 1];
  const std::vector<double> qs = q.Values(), ks = k.Values(), vs = v.Values();
  const std::vector<double> keep =
      mask == nullptr ? std::vector<double>() : mask->Values();
  const int64_t batch = ElementCount(Dims(q.dims.begin(), q.dims.end() - 3));
  std::vector<double> out;
  for (int64_t row = 0; row < batch * sq * heads; ++row) {
    const int64_t head = row % heads, i = row / heads % sq,
                  b = row / heads / sq;
    const int64_t kv_head = head / (heads / kv_heads);
    double sum = 0;
    std::vector<double> values(value_dim);
    const int64_t keys = options.keys > 0 ? options.keys : sk;
    for (int64_t key = 0; key < keys; ++key) {
      const int64_t place = ((b * heads + head) * sq + i) * sk + key;
      if (!Sees(options, keys - sq + i, key)) continue;
      if (mask != nullptr && keep[place] == 0) continue;
      const int64_t kv_row = (b * sk + key) * kv_heads + kv_head;
      double score = 0;
      for (int64_t d = 0; d < dim; ++d) {
        score += qs[row * dim + d] * ks[kv_row * dim + d];
      }
      score *= options.scale;
      if (options.softcap != 0) {
        score = options.softcap * std::tanh(score / options.softcap);
      }
      const double weight = std::exp(score);
      sum += weight;
      for (int64_t d = 0; d < value_dim; ++d) {
        values[d] += weight * vs[kv_row * value_dim + d];
      }
    }
    for (double value : values) out.push_back(sum == 0 ? 0 : value / sum);
  }
  return out;
}

void Attend(const TestArray& q, const TestArray& k, const TestArray& v,
            const TestArray* mask, const Options& options,
            const TestArray& out) {
  std::vector<TestArray> inputs = {q, k, v};
  if (mask != nullptr) inputs.push_back(*mask);
  Call(Attention, inputs, {out},
       {options.causal ? 1 : 0, mask == nullptr ? 0 : 1, options.window},
       {options.scale, options.softcap, double(options.keys)});
}

void Check(const TestArray& q, const TestArray& k, const TestArray& v,
           const TestArray* mask = nullptr, const Options& options = {},
           DType dtype = DType::F16) {
  const std::vector<double> want = AttentionOf(q, k, v, mask, options);
  ForEachTarget([&] {
    Dims dims = q.dims;
    dims.back() = v.dims.back();
    const TestArray out = Poisoned(dtype, dims);
    Attend(q, k, v, mask, options, out);
    for (int i = 0; i < kGuardBytes; ++i) {
      ASSERT_EQ(out.block.get()[out.block_bytes + i], kGuard);
    }
    const double rounding = dtype == DType::F16 ? 0x1p-11 : 0;
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_NEAR(out.Get(i), want[i], std::abs(want[i]) * rounding + 4e-6)
          << "element " << i;
    }
  });
}

struct Arrays {
  TestArray q, k, v;
};

Arrays RandomArrays(int64_t sq, int64_t heads, int64_t sk, int64_t kv_heads,
                    int64_t dim, int64_t value_dim, DType dtype = DType::F16) {
  return {RandomArray(dtype, {sq, heads, dim}, 1),
          RandomArray(dtype, {sk, kv_heads, dim}, 2),
          RandomArray(dtype, {sk, kv_heads, value_dim}, 3)};
}

TEST(AttentionTest, ComputesEveryAwkwardShape) {
  for (int64_t sq : {1, 2, 3, 9, 33, 98}) {
    for (int64_t sk : {1, 2, 17, 121, 515}) {
      for (int64_t dim : {1, 5, 16, 33, 64}) {
        SCOPED_TRACE(testing::Message()
                     << sq << " queries, " << sk << " keys, dim " << dim);
        const Arrays a = RandomArrays(sq, 2, sk, 1, dim, dim + 3);
        Check(a.q, a.k, a.v);
        if (sk >= sq) Check(a.q, a.k, a.v, nullptr, {.causal = true});
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(AttentionTest, HeadsShareKeysAndValues) {
  for (int64_t kv_heads : {1, 2, 3, 6, 12}) {
    for (int64_t sq : {1, 4, 50}) {
      const Arrays a = RandomArrays(sq, 12, 70, kv_heads, 24, 24);
      Check(a.q, a.k, a.v, nullptr, {.causal = true});
    }
  }
}

// Those of models, one past a tile of any backend, alone and with options.
TEST(AttentionTest, TakesTheHeadsOfModels) {
  struct Heads {
    int64_t dim, value_dim;
  };
  for (const Heads heads : {Heads{64, 64}, {80, 80}, {96, 96}, {128, 128},
                            {192, 128}, {256, 256}}) {
    for (int64_t kv_heads : {1, 2, 8}) {
      for (int64_t sq : {1, 3, 8, 9, 65}) {
        SCOPED_TRACE(testing::Message() << heads.dim << " dims, " << kv_heads
                                        << " of 8 heads, " << sq << " queries");
        const int64_t sk = sq + 64;
        const Arrays a = RandomArrays(sq, 8, sk, kv_heads, heads.dim,
                                      heads.value_dim);
        const double scale = 1 / std::sqrt(double(heads.dim));
        Check(a.q, a.k, a.v, nullptr, {.causal = true, .scale = scale});
        Check(a.q, a.k, a.v, nullptr,
              {.causal = true, .window = 33, .scale = -scale, .softcap = 3});
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(AttentionTest, ManyRowsOfManyHeads) {
  const Arrays a = RandomArrays(131, 8, 200, 8, 128, 128);
  Check(a.q, a.k, a.v, nullptr, {.causal = true, .scale = 0.1});
  Check(a.q, a.k, a.v, nullptr, {.window = 40, .scale = 0.1, .softcap = 4});
  Check(a.q, a.k, a.v, nullptr, {.scale = -0.1});
  TestArray mask = RandomArray(DType::I32, {131, 200}, 5, 0, 3);
  mask = BroadcastTo(mask, {8, 131, 200});
  Check(a.q, a.k, a.v, &mask, {.causal = true, .scale = 0.1});
}

// A token at a time: long caches are shared out.
TEST(AttentionTest, LongCachesAreJoinedFromParts) {
  for (int64_t sq : {1, 3, 8}) {
    for (int64_t heads : {1, 5, 8}) {
      for (int64_t sk : {129, 1000, 2049}) {
        SCOPED_TRACE(testing::Message() << sq << " queries, " << heads
                                        << " heads, " << sk << " keys");
        const Arrays a = RandomArrays(sq, heads, sk, 1, 64, 64);
        Check(a.q, a.k, a.v, nullptr, {.causal = true});
        Check(a.q, a.k, a.v, nullptr, {.causal = true, .window = 700});
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

// The rest of a cache is NaN here.
TEST(AttentionTest, LooksAtTheFirstKeysOnly) {
  for (int64_t queries : {1, 3, 70}) {
    SCOPED_TRACE(queries);
    const int64_t keys = 71, room = 150;
    const Arrays a = RandomArrays(queries, 4, room, 2, 32, 48);
    for (int64_t i = keys * 2 * 32; i < room * 2 * 32; ++i) {
      a.k.Set(i, std::numeric_limits<double>::quiet_NaN());
    }
    for (int64_t i = keys * 2 * 48; i < room * 2 * 48; ++i) {
      a.v.Set(i, std::numeric_limits<double>::quiet_NaN());
    }
    Check(a.q, a.k, a.v, nullptr, {.causal = true, .keys = keys});
    Check(a.q, a.k, a.v, nullptr, {.causal = true, .window = 9, .keys = keys});
  }
}

TEST(AttentionTest, WindowHidesWhatIsFartherAway) {
  for (int64_t sq : {1, 3, 130}) {
    const Arrays a = RandomArrays(sq, 2, 260, 2, 16, 16);
    for (int64_t window : {1, 2, 100, 259, 260, 1000}) {
      Check(a.q, a.k, a.v, nullptr, {.causal = true, .window = window});
      Check(a.q, a.k, a.v, nullptr, {.window = window});
    }
    Check(a.q, a.k, a.v, nullptr,
          {.causal = true, .window = std::numeric_limits<int64_t>::max()});
  }
}

TEST(AttentionTest, SoftcapBoundsScores) {
  for (int64_t sq : {1, 40}) {
    const Arrays a = RandomArrays(sq, 2, 90, 1, 32, 32);
    Check(a.q, a.k, a.v, nullptr, {.causal = true, .scale = 2, .softcap = 5});
  }
}

TEST(AttentionTest, MaskKeepsWhereItIsNotZero) {
  for (int64_t sq : {1, 4, 100}) {
    const Arrays a = RandomArrays(sq, 4, 130, 2, 16, 16);
    for (DType dtype : {DType::F16, DType::F32, DType::I32}) {
      TestArray mask = RandomArray(dtype, {4, sq, 130}, 5, 0, 1);
      for (int64_t i = 0; i < 4 * sq * 130; ++i) mask.Set(i, i % 7 % 3 != 0);
      Check(a.q, a.k, a.v, &mask);
      Check(a.q, a.k, a.v, &mask, {.causal = true});
      TestArray shared = RandomArray(dtype, {sq, 130}, 6, 0, 1);
      for (int64_t i = 0; i < sq * 130; ++i) shared.Set(i, i % 5 != 0);
      shared = BroadcastTo(shared, {4, sq, 130});
      Check(a.q, a.k, a.v, &shared);
    }
  }
}

TEST(AttentionTest, AQueryThatSeesNoKeyGivesZero) {
  for (int64_t sq : {3, 60}) {
    const Arrays a = RandomArrays(sq, 2, 2, 1, 8, 8);
    Check(a.q, a.k, a.v, nullptr, {.causal = true});
    TestArray mask =
        ArrayOf(DType::I32, {2, sq, 2}, std::vector<double>(2 * sq * 2, 0));
    Check(a.q, a.k, a.v, &mask);
    const Arrays none = RandomArrays(sq, 2, 0, 1, 8, 8);
    Check(none.q, none.k, none.v);
  }
}

TEST(AttentionTest, EmptyResultsAreLeftAlone) {
  const Arrays a = RandomArrays(0, 2, 5, 1, 8, 8);
  Check(a.q, a.k, a.v, nullptr, {.causal = true});
  const Arrays b = RandomArrays(3, 2, 5, 1, 8, 0);
  Check(b.q, b.k, b.v);
}

TEST(AttentionTest, TakesAnyStridesBatchesAndTypes) {
  for (int64_t sq : {1, 35}) {
    for (DType dtype : {DType::F16, DType::F32}) {
      // Stored [.., heads, seq, dim], the second axis of the batch shared.
      const TestArray q =
          Permuted(RandomArray(dtype, {2, 3, 4, sq, 20}, 7), {0, 1, 3, 2, 4});
      const TestArray k =
          BroadcastTo(Permuted(RandomArray(DType::F16, {2, 1, 2, 45, 20}, 8),
                               {0, 1, 3, 2, 4}),
                      {2, 3, 45, 2, 20});
      const TestArray v = Permuted(
          RandomArray(DType::F32, {2, 3, 20, 2, 45}, 9), {0, 1, 4, 3, 2});
      Check(q, k, v, nullptr, {.causal = true}, DType::F32);
      Check(q, k, k, nullptr, {}, DType::F16);
      Check(Sliced(q, 4, 19, 20, -1), Sliced(k, 4, 0, 20, 1), k);
    }
  }
}

// Some that are one axis, some where an operand's is shared.
TEST(AttentionTest, BatchesAreApart) {
  for (int64_t sq : {1, 5, 40}) {
    const TestArray q = RandomArray(DType::F16, {2, 3, sq, 4, 64}, 1);
    const TestArray k = RandomArray(DType::F16, {2, 3, 50, 2, 64}, 2);
    const TestArray v = RandomArray(DType::F16, {2, 3, 50, 2, 64}, 3);
    Check(q, k, v, nullptr, {.causal = true, .scale = 0.1});
    const TestArray inner = BroadcastTo(Sliced(k, 0, 1, 1, 1), k.dims);
    const TestArray outer = BroadcastTo(Sliced(v, 1, 2, 1, 1), v.dims);
    Check(q, inner, outer, nullptr, {.causal = true, .scale = 0.1});
    TestArray mask = RandomArray(DType::I32, {2, 1, 1, sq, 50}, 4, 0, 3);
    mask = BroadcastTo(mask, {2, 3, 4, sq, 50});
    Check(q, k, outer, &mask, {.scale = 0.1});
    Check(Permuted(q, {1, 0, 2, 3, 4}), Permuted(k, {1, 0, 2, 3, 4}),
          Permuted(inner, {1, 0, 2, 3, 4}), nullptr, {.scale = 0.1});
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(AttentionTest, LargeScoresDoNotOverflow) {
  for (int64_t sq : {1, 40}) {
    const TestArray q = RandomArray(DType::F16, {sq, 1, 16}, 1, 100, 200);
    const TestArray k = RandomArray(DType::F16, {700, 1, 16}, 2, 100, 200);
    const TestArray v = RandomArray(DType::F16, {700, 1, 16}, 3);
    ForEachTarget([&] {
      const TestArray out = Poisoned(DType::F32, {sq, 1, 16});
      Attend(q, k, v, nullptr, {.scale = 1}, out);
      for (int64_t i = 0; i < sq * 16; ++i) {
        EXPECT_LE(std::abs(out.Get(i)), 2.001);
      }
    });
  }
}

TEST(AttentionTest, ThreadsDoNotChangeABit) {
  for (int64_t sq : {1, 3, 300}) {
    const Arrays a = RandomArrays(sq, 4, 1200, 2, 64, 64);
    const TestArray out = Poisoned(DType::F32, {sq, 4, 64});
    ExpectSameBitsOnAnyThreads(
        out, [&] { Attend(a.q, a.k, a.v, nullptr, {.causal = true}, out); });
  }
}

}  // namespace
}  // namespace tl::TL_KERNELS
