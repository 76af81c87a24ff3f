// Lists of small steps against double arithmetic, on shapes that leave blocks,
// warps and lanes without work, and where one step waits for another.
#include "cuda/step_list_test.h"

#include "cuda/packed_rows.h"
#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

TEST(StepListTest, MultipliesRowsOfHalves) {
  for (const auto& [n, k] : {std::pair{1, 8}, {5, 64}, {33, 264}, {130, 4096},
                            {70, 5632}, {3, 14336}}) {
    SCOPED_TRACE(testing::Message() << n << " rows of " << k);
    const TestArray x = RandomArray(DType::F16, {1, k}, 1);
    const TestArray w = RandomArray(DType::F16, {n, k}, 2, -0.1, 0.1);
    const TestArray y = Poisoned(DType::F32, {1, n});
    TestList list;
    ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w, {1, 0})}, y, {}, {},
                         nullptr, DType::F32));
    list.Run();
    const std::vector<double> want = Product(x.Values(), w.Values());
    for (int i = 0; i < n; ++i) {
      ASSERT_NEAR(y.Get(i), want[i], 1e-5 * std::sqrt(k)) << i;
    }
  }
}

TEST(StepListTest, MultipliesPackedRows) {
  for (DType dtype : PackedDTypes()) {
    if (!HasRowProduct(dtype)) continue;
    for (const auto& [n, k] : {std::pair{1, 256}, {37, 512}, {9, 5632},
                              {140, 2048}}) {
      SCOPED_TRACE(testing::Message() << Info(dtype).name << ", " << n
                                      << " rows of " << k);
      const auto stored = RandomBlocks(dtype, int64_t{n} * k, 7);
      std::vector<double> values(int64_t{n} * k);
      Decode(dtype, stored, values);
      const TestArray x = RandomArray(DType::F16, {1, k}, 1);
      const TestArray w = PackedArray(dtype, {n, k}, stored);
      const TestArray y = Poisoned(DType::F32, {1, n});
      TestList list;
      ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w, {1, 0})}, y, {}, {},
                           nullptr, DType::F32));
      list.Run();
      const std::vector<double> want =
          Product(RoundedInGroups(x.Values()), values);
      for (int i = 0; i < n; ++i) {
        ASSERT_NEAR(y.Get(i), want[i], 2e-4 * std::sqrt(k)) << i;
      }
    }
  }
}

TEST(StepListTest, AnInfinityMakesNaNOfAPackedProduct) {
  const auto stored = RandomBlocks(DType::Q4_0, 2 * 64, 7);
  const TestArray x = RandomArray(DType::F16, {1, 64}, 1);
  x.Set(40, std::numeric_limits<double>::infinity());
  const TestArray w = PackedArray(DType::Q4_0, {2, 64}, stored);
  const TestArray y = Poisoned(DType::F16, {1, 2});
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w, {1, 0})}, y));
  list.Run();
  EXPECT_TRUE(std::isnan(y.Get(0)) && std::isnan(y.Get(1)));
}

// What a layer of a language model does: a norm that two products share, the
// second of which multiplies by what became of the first, and a product that is
// added to x. Twice, so that blocks wait for each other.
TEST(StepListTest, RunsALayerAsItsOperationsOneByOne) {
  const int k = 264, n = 152;
  TestList list;
  TestArray x = RandomArray(DType::F16, {1, k}, 1);
  std::vector<double> want = x.Values();
  for (uint32_t layer = 0; layer < 3; ++layer) {
    const TestArray weight = RandomArray(DType::F32, {k}, 2 + layer);
    const TestArray gate = RandomArray(DType::F16, {n, k}, 12 + layer, -0.1, 0.1);
    const TestArray up = RandomArray(DType::F16, {n, k}, 22 + layer, -0.1, 0.1);
    const TestArray down = RandomArray(DType::F16, {k, n}, 32 + layer, -0.1, 0.1);
    const TestArray h = Poisoned(DType::F16, {1, k});
    const TestArray g = Poisoned(DType::F16, {1, n});
    const TestArray u = Poisoned(DType::F16, {1, n});
    const TestArray next = Poisoned(DType::F16, {1, k});
    const ElementwiseProgram times = EpilogueOf({OpId::Mul});
    const ElementwiseProgram plus = EpilogueOf({OpId::Add});
    ASSERT_TRUE(list.Add(OpId::RmsNorm, {x, weight}, h, {}, {1e-5}));
    ASSERT_TRUE(list.Add(OpId::Matmul, {h, Permuted(gate, {1, 0})}, g));
    ASSERT_TRUE(list.Add(OpId::Matmul, {h, Permuted(up, {1, 0}), g}, u, {}, {},
                         &times));
    ASSERT_TRUE(list.Add(OpId::Matmul, {u, Permuted(down, {1, 0}), x}, next, {},
                         {}, &plus));
    const std::vector<double> hs = RmsNormOf(want, weight.Values(), 1e-5);
    std::vector<double> gs = Product(hs, gate.Values());
    const std::vector<double> us = Product(hs, up.Values());
    for (int i = 0; i < n; ++i) gs[i] = RoundedTo(DType::F16, gs[i] * us[i]);
    const std::vector<double> rest = Product(gs, down.Values());
    for (int i = 0; i < k; ++i) {
      want[i] = RoundedTo(DType::F16, want[i] + rest[i]);
    }
    x = next;
  }
  list.Run();
  for (int i = 0; i < k; ++i) {
    ASSERT_NEAR(x.Get(i), want[i], 0.01 * (1 + std::abs(want[i]))) << i;
  }
}

// Two products of the norm of x are one step.
TEST(StepListTest, RunsTheGatedLayerOfALlamaInTwoSteps) {
  for (const auto& [k, n] : {std::pair{64, 32}, {264, 152}, {2048, 704}}) {
    SCOPED_TRACE(testing::Message() << k << " by " << n);
    TestList list;
    TestArray x = RandomArray(DType::F16, {1, k}, 1);
    std::vector<double> want = x.Values();
    for (uint32_t layer = 0; layer < 3; ++layer) {
      const double most = 2 / std::sqrt(k);
      const TestArray weight = RandomArray(DType::F32, {k}, 2 + layer);
      const TestArray gate =
          RandomArray(DType::F16, {n, k}, 12 + layer, -most, most);
      const TestArray up =
          RandomArray(DType::F16, {n, k}, 22 + layer, -most, most);
      const TestArray down =
          RandomArray(DType::F16, {k, n}, 32 + layer, -most, most);
      const TestArray h = Poisoned(DType::F16, {1, k});
      const TestArray g = Poisoned(DType::F16, {1, n});
      const TestArray u = Poisoned(DType::F16, {1, n});
      const TestArray next = Poisoned(DType::F16, {1, k});
      const ElementwiseProgram silu = ProgramOf(OpId::Silu);
      const ElementwiseProgram times = EpilogueOf({OpId::Mul});
      const ElementwiseProgram plus = EpilogueOf({OpId::Add});
      ASSERT_TRUE(list.Add(OpId::RmsNorm, {x, weight}, h, {}, {1e-5}));
      ASSERT_TRUE(
          list.Add(OpId::Matmul, {h, Permuted(gate, {1, 0})}, g, {}, {}, &silu));
      ASSERT_TRUE(list.Add(OpId::Matmul, {h, Permuted(up, {1, 0}), g}, u, {}, {},
                           &times));
      ASSERT_TRUE(list.Add(OpId::Matmul, {u, Permuted(down, {1, 0}), x}, next,
                           {}, {}, &plus));
      const std::vector<double> hs = RmsNormOf(want, weight.Values(), 1e-5);
      std::vector<double> gs = Product(hs, gate.Values());
      const std::vector<double> us = Product(hs, up.Values());
      for (int i = 0; i < n; ++i) {
        gs[i] = RoundedTo(DType::F16, gs[i] / (1 + std::exp(-gs[i])) * us[i]);
      }
      const std::vector<double> rest = Product(gs, down.Values());
      for (int i = 0; i < k; ++i) {
        want[i] = RoundedTo(DType::F16, want[i] + rest[i]);
      }
      x = next;
    }
    EXPECT_EQ(list.steps(), 6u);
    list.Run();
    for (int i = 0; i < k; ++i) {
      ASSERT_NEAR(x.Get(i), want[i], 0.01 * (1 + std::abs(want[i]))) << i;
    }
  }
}

TEST(StepListTest, TurnsAndWritesWhereAnotherStepReads) {
  const int heads = 3, dim = 8;
  const TestArray x = RandomArray(DType::F16, {1, heads, dim}, 1);
  const TestArray cos = RandomArray(DType::F32, {1, dim / 2}, 2);
  const TestArray sin = RandomArray(DType::F32, {1, dim / 2}, 3);
  const TestArray turned = Poisoned(DType::F16, {1, heads, dim});
  const TestArray cache = RandomArray(DType::F16, {4, heads, dim}, 4);
  const TestArray copy = Poisoned(DType::F16, {4, heads, dim});
  const std::vector<double> before = cache.Values();
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Rope, {x, cos, sin}, turned, {1}));
  ASSERT_TRUE(list.Add(OpId::Assign, {cache, turned}, cache, {1, 1, 3, 1, 8, 1},
                       {2, 0, 0}));
  const ElementwiseProgram negated = ProgramOf(OpId::Neg);
  ASSERT_TRUE(list.Add(OpId::Identity, {cache}, copy, {}, {}, &negated));
  list.Run();
  for (int i = 0; i < 4 * heads * dim; ++i) {
    double want = before[i];
    if (i / (heads * dim) == 2) {
      const int at = i % (heads * dim), head = at / dim, e = at % dim;
      const int pair = e % (dim / 2);
      const double a = x.Get(head * dim + pair);
      const double b = x.Get(head * dim + pair + dim / 2);
      want = RoundedTo(DType::F16, e < dim / 2
                                       ? a * cos.Get(pair) - b * sin.Get(pair)
                                       : b * cos.Get(pair) + a * sin.Get(pair));
    }
    ASSERT_NEAR(cache.Get(i), want, 2e-3) << i;
    ASSERT_EQ(copy.Get(i), -cache.Get(i)) << i;
  }
}

TEST(StepListTest, TurnsWhatAProductHasMadeAndWritesItToACache) {
  const int dim = 16, k = 264;
  for (const int heads : {1, 5, 40}) {
    for (const bool read_before : {false, true}) {
      SCOPED_TRACE(testing::Message() << heads << " heads, " << read_before);
      const int n = heads * dim;
      const TestArray x = RandomArray(DType::F16, {1, k}, 1);
      const TestArray w = RandomArray(DType::F16, {n, k}, 2, -0.1, 0.1);
      const TestArray cos = RandomArray(DType::F32, {1, dim / 2}, 3);
      const TestArray sin = RandomArray(DType::F32, {1, dim / 2}, 4);
      const TestArray y = Poisoned(DType::F16, {1, heads, dim});
      const TestArray turned = Poisoned(DType::F16, {1, heads, dim});
      const TestArray cache = Poisoned(DType::F16, {3, heads, dim});
      const TestArray twice = Poisoned(DType::F16, {1, n});
      const ElementwiseProgram plus = EpilogueOf({OpId::Add});
      TestList list;
      ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w, {1, 0})}, y));
      if (read_before) {  // by the threads that made it
        ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w, {1, 0}), y}, twice, {},
                             {}, &plus));
      }
      ASSERT_TRUE(list.Add(OpId::Rope, {y, cos, sin}, turned, {0}));
      ASSERT_TRUE(list.Add(OpId::Assign, {cache, turned}, cache,
                           {1, 1, heads, 1, dim, 1}, {1, 0, 0}));
      if (!read_before) {
        EXPECT_EQ(list.levels(), 1u);
      }
      list.Run();
      const std::vector<double> made = Product(x.Values(), w.Values());
      const std::vector<double> want = Turned(y.Values(), cos, sin, dim);
      for (int i = 0; i < n; ++i) {
        ASSERT_NEAR(y.Get(i), made[i], 0.01) << i;
        ASSERT_NEAR(turned.Get(i), want[i], 2e-3) << i;
        ASSERT_EQ(cache.Get(n + i), turned.Get(i)) << i;
        if (read_before) {
          ASSERT_NEAR(twice.Get(i), 2 * made[i], 0.02) << i;
        }
      }
    }
  }
}

// Before an attention: three products with one x, two of them turned, two written to
// caches.
TEST(StepListTest, MakesQueriesKeysAndValuesInOneStep) {
  const int dim = 16, k = 256;
  for (const DType dtype : {DType::F16, DType::Q8_0, DType::Q4_0, DType::Q4_K}) {
    for (const auto& [heads, kv_heads] : {std::pair{2, 1}, {40, 3}}) {
      SCOPED_TRACE(testing::Message()
                   << Info(dtype).name << ", " << heads << " heads");
      const int rows[] = {heads * dim, kv_heads * dim, kv_heads * dim};
      const TestArray x = RandomArray(DType::F16, {1, k}, 1);
      const TestArray cos = RandomArray(DType::F32, {1, dim / 2}, 3);
      const TestArray sin = RandomArray(DType::F32, {1, dim / 2}, 4);
      TestList list;
      std::vector<Weights> weights;
      std::vector<TestArray> made, turned, caches;
      for (uint32_t i = 0; i < 3; ++i) {
        const int64_t count = rows[i] / dim;
        weights.emplace_back(dtype, rows[i], k, 5 + i);
        made.push_back(Poisoned(DType::F16, {1, count, dim}));
        turned.push_back(Poisoned(DType::F16, {1, count, dim}));
        caches.push_back(Poisoned(DType::F16, {3, count, dim}));
        ASSERT_TRUE(list.Add(OpId::Matmul,
                             {x, Permuted(weights[i].array, {1, 0})}, made[i]));
      }
      for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(list.Add(OpId::Rope, {made[i], cos, sin}, turned[i], {0}));
      }
      for (int i = 1; i < 3; ++i) {
        ASSERT_TRUE(list.Add(OpId::Assign, {caches[i], i == 1 ? turned[1] : made[2]},
                             caches[i], {1, 1, kv_heads, 1, dim, 1}, {1, 0, 0}));
      }
      EXPECT_EQ(list.steps(), 1u);
      list.Run();
      const std::vector<double> xs =
          IsPacked(dtype) ? RoundedInGroups(x.Values()) : x.Values();
      for (int i = 0; i < 3; ++i) {
        const std::vector<double> want = Product(xs, weights[i].values);
        const std::vector<double> turns = Turned(made[i].Values(), cos, sin, dim);
        const TestArray& cached = i == 1 ? turned[1] : made[2];
        for (int row = 0; row < rows[i]; ++row) {
          ASSERT_NEAR(made[i].Get(row), want[row], 0.01 * (1 + std::abs(want[row])))
              << i << " " << row;
          if (i < 2) {
            ASSERT_NEAR(turned[i].Get(row), turns[row],
                        2e-3 * (1 + std::abs(turns[row])));
          }
          if (i > 0) {
            ASSERT_EQ(caches[i].Get(rows[i] + row), cached.Get(row));
          }
        }
      }
    }
  }
}

// Rows and their neighbours are in one round of a block, however many rows a
// tile has.
TEST(StepListTest, GatesLongPackedRowsInPairs) {
  // More than a round on the few multiprocessors of the emulated card.
  const int n = std::min(150 * Card().multiprocessors, 1200), k = 11008;
  const TestArray x = RandomArray(DType::F16, {1, k}, 1, -0.001, 0.001);
  const Weights gate(DType::Q4_0, n, k, 2), up(DType::Q4_0, n, k, 3);
  const TestArray g = Poisoned(DType::F16, {1, n});
  const TestArray m = Poisoned(DType::F16, {1, n});
  const ElementwiseProgram silu = ProgramOf(OpId::Silu);
  const ElementwiseProgram times = EpilogueOf({OpId::Mul});
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(gate.array, {1, 0})}, g, {},
                       {}, &silu));
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(up.array, {1, 0}), g}, m, {},
                       {}, &times));
  EXPECT_EQ(list.steps(), 1u);
  list.Run();
  const std::vector<double> rounded = RoundedInGroups(x.Values());
  std::vector<double> want = Product(rounded, gate.values);
  for (double& value : want) value /= 1 + std::exp(-value);
  for (int i = 0; i < n; ++i) {
    ASSERT_NEAR(g.Get(i), want[i], 0.01 * (1 + std::abs(want[i]))) << i;
  }
  want = Product(rounded, up.values);
  for (int i = 0; i < n; ++i) want[i] *= g.Get(i);
  for (int i = 0; i < n; ++i) {
    ASSERT_NEAR(m.Get(i), want[i], 0.01 * (1 + std::abs(want[i]))) << i;
  }
}

TEST(StepListTest, AttendsToWhatAStepHasWritten) {
  for (const auto& [keys, heads, kv_heads, dim] :
       {std::array{1, 4, 4, 64}, {70, 8, 2, 64}, {300, 9, 1, 128},
        {1100, 8, 1, 64}, {1300, 9, 1, 128}}) {
    SCOPED_TRACE(testing::Message() << keys << " keys of " << kv_heads);
    const TestArray q = RandomArray(DType::F16, {1, heads, dim}, 1);
    const TestArray last = RandomArray(DType::F16, {1, kv_heads, dim}, 2);
    const TestArray k = RandomArray(DType::F16, {keys, kv_heads, dim}, 3);
    const TestArray v = RandomArray(DType::F16, {keys, kv_heads, dim}, 4);
    const TestArray y = Poisoned(DType::F16, {1, heads, dim});
    TestList list;
    ASSERT_TRUE(list.Add(OpId::Assign, {k, last}, k,
                         {1, 1, kv_heads, 1, dim, 1}, {double(keys - 1), 0, 0}));
    for (int i = 0; i < 3; ++i) {  // what counts its splits starts anew
      ASSERT_TRUE(list.Add(OpId::Attention, {q, k, v}, y, {1, 0, 0},
                           {0.1, 0, 0}));
    }
    list.Run();
    const std::vector<double> want = Attended(q, k, v, keys, 0.1);
    for (int i = 0; i < heads * dim; ++i) {
      ASSERT_NEAR(y.Get(i), want[i], 2e-3) << i;
    }
  }
}

// A norm is part of the product that follows it.
TEST(StepListTest, TimesEachOperationOfAListAndKernelsOutOfIt) {
  const TestArray x = RandomArray(DType::F16, {1, 264}, 1);
  const TestArray weight = RandomArray(DType::F32, {264}, 2);
  const TestArray w = RandomArray(DType::F16, {264, 264}, 3);
  const TestArray h = Poisoned(DType::F16, {1, 264});
  const TestArray y = Poisoned(DType::F16, {1, 264});
  const TestArray z = Poisoned(DType::F16, {1, 264});
  const TestArray alone = Poisoned(DType::F16, {1, 264});
  const TestArray other = Poisoned(DType::F16, {1, 264});
  TestList list;
  list.laps().Start();
  ASSERT_TRUE(list.Add(OpId::RmsNorm, {x, weight}, h, {}, {1e-5}));
  list.laps().End();
  for (const auto& [from, to] : {std::pair{h, y}, {y, z}}) {
    ASSERT_TRUE(list.Add(OpId::Matmul, {from, Permuted(w, {1, 0})}, to));
    list.laps().End();
  }
  // A norm that nothing follows is a step, and its time its own.
  ASSERT_TRUE(list.Add(OpId::RmsNorm, {x, weight}, alone, {}, {1e-5}));
  list.laps().End();
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w, {1, 0})}, other));
  list.laps().End();
  list.Run();
  const auto block = Allocate(1 << 20);
  list.laps().BeginKernels();
  Fill(block.get(), 1, 1 << 20);
  list.laps().EndKernels();
  list.laps().End();
  const std::vector<double> seconds = list.laps().Seconds();
  ASSERT_EQ(seconds.size(), 6u);
  EXPECT_EQ(seconds[0], 0);
  for (size_t i = 1; i < seconds.size(); ++i) {
    EXPECT_GT(seconds[i], 0) << i;
    EXPECT_LT(seconds[i], 10) << i;
  }
  EXPECT_EQ(list.laps().NoteSteps({0}), nullptr);  // nothing is timed any more
}

// The bytes may change once they were added.
TEST(StepListTest, WritesBytesOfTheHostWhereTheyStandInTheOrder) {
  const TestArray x = Poisoned(DType::F16, {1, 64});
  const TestArray y = Poisoned(DType::F16, {1, 64});
  const TestArray z = Poisoned(DType::F16, {1, 64});
  const TestArray bytes = RandomArray(DType::F16, {1, 64}, 1);
  const std::vector<double> first = bytes.Values();
  const ElementwiseProgram negate = ProgramOf(OpId::Neg);
  TestList list;
  ASSERT_TRUE(list.AddBytes(x, bytes));
  ASSERT_TRUE(list.Add(OpId::Identity, {x}, y, {}, {}, &negate));
  for (int i = 0; i < 64; ++i) bytes.Set(i, i);
  ASSERT_TRUE(list.AddBytes(x, bytes));
  ASSERT_TRUE(list.Add(OpId::Identity, {x}, z, {}, {}, &negate));
  list.Run();
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(y.Get(i), -first[i]) << i;
    EXPECT_EQ(z.Get(i), -i) << i;
  }
}

TEST(StepListTest, SelectsARowOfATable) {
  constexpr int kRows = 5, kColumns = 512;
  for (const DType dtype : {DType::F16, DType::Q8_0, DType::Q4_0, DType::Q4_K,
                            DType::Q6_K}) {
    const Weights table(dtype, kRows, kColumns, 3);
    for (const int place : {0, 3, -1}) {
      SCOPED_TRACE(testing::Message() << Info(dtype).name << ", row " << place);
      const TestArray index = ArrayOf(DType::I32, {1}, {double(place)});
      const TestArray y = Poisoned(DType::F16, {1, kColumns});
      const TestArray z = Poisoned(DType::F16, {1, kColumns});
      const ElementwiseProgram negate = ProgramOf(OpId::Neg);
      TestList list;
      EXPECT_FALSE(list.Add(OpId::IndexSelect, {table.array, index}, y, {0}));
      list.set_indices_checked(true);
      ASSERT_TRUE(list.Add(OpId::IndexSelect, {table.array, index}, y, {0}));
      ASSERT_TRUE(list.Add(OpId::Identity, {y}, z, {}, {}, &negate));
      list.Run();
      const int row = place < 0 ? place + kRows : place;
      for (int i = 0; i < kColumns; ++i) {
        const double want = RoundedTo(DType::F16, table.values[row * kColumns + i]);
        ASSERT_EQ(y.Get(i), want) << i;
        ASSERT_EQ(z.Get(i), -want) << i;
      }
    }
  }
}

// Of equals the first, NaN before all; by one block and by more.
TEST(StepListTest, FindsTheLargestElement) {
  for (const DType dtype : {DType::F16, DType::F32}) {
    for (const int size : {1, 5, 4096, 4097, 20000}) {
      const TestArray x = RandomArray(dtype, {size}, 1);
      const TestArray with_nan = RandomArray(dtype, {size}, 1);
      const int most = size / 3;
      for (int i : {most, size - 1}) x.Set(i, 7);
      with_nan.Set(size - 1, NAN);
      with_nan.Set(0, 8);
      const TestArray of_x = Poisoned(DType::I32, {1});
      const TestArray of_nan = Poisoned(DType::I32, {1});
      TestList list;
      for (int run = 0; run < 2; ++run) {
        ASSERT_TRUE(list.Add(OpId::Argmax, {x}, of_x, {0, 0}));
        ASSERT_TRUE(list.Add(OpId::Argmax, {with_nan}, of_nan, {0, 0}));
        EXPECT_EQ(list.levels(), 1u);
        list.Run();
        SCOPED_TRACE(testing::Message() << Info(dtype).name << ", " << size);
        EXPECT_EQ(of_x.Get(0), most);
        EXPECT_EQ(of_nan.Get(0), size == 1 ? 0 : size - 1);
      }
    }
  }
}

TEST(StepListTest, LeavesWhatIsNotSmall) {
  TestList list;
  const TestArray two = RandomArray(DType::F16, {2, 64}, 1);
  const TestArray w = RandomArray(DType::F16, {5, 64}, 2);
  const TestArray y = Poisoned(DType::F16, {2, 5});
  EXPECT_FALSE(list.Add(OpId::Matmul, {two, Permuted(w, {1, 0})}, y));
  const TestArray odd = RandomArray(DType::F16, {1, 7}, 1);
  const TestArray v = RandomArray(DType::F16, {5, 7}, 2);
  const TestArray z = Poisoned(DType::F16, {1, 5});
  EXPECT_FALSE(list.Add(OpId::Matmul, {odd, Permuted(v, {1, 0})}, z));
  const TestArray many = RandomArray(DType::F16, {257}, 1);
  EXPECT_FALSE(list.AddBytes(Poisoned(DType::F16, {257}), many));
  EXPECT_FALSE(list.AddBytes(z, z));  // 10 bytes
}

}  // namespace
}  // namespace tl::cuda
