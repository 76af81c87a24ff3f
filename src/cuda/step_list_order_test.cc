// Where a list may not put a step, or make it part of another: memory that other steps
// of the list still read, or have not written yet.
#include "cuda/runtime.h"
#include "cuda/step_list_test.h"

namespace tl::cuda {
namespace {

// Weights are fetched ahead of all that the list waits for.
TEST(StepListOrderTest, LeavesWeightsThatItMakesItself) {
  const TestArray x = RandomArray(DType::F16, {1, 64}, 1);
  const TestArray w = RandomArray(DType::F16, {64, 64}, 2);
  const TestArray g = RandomArray(DType::F16, {64}, 3);
  const TestArray new_w = Poisoned(DType::F16, {64, 64});
  const TestArray new_g = Poisoned(DType::F16, {64});
  const TestArray y = Poisoned(DType::F16, {1, 64});
  const ElementwiseProgram negated = ProgramOf(OpId::Neg);
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Identity, {w}, new_w, {}, {}, &negated));
  ASSERT_TRUE(list.Add(OpId::Identity, {g}, new_g, {}, {}, &negated));
  EXPECT_FALSE(list.Add(OpId::Matmul, {x, Permuted(new_w, {1, 0})}, y));
  EXPECT_FALSE(list.Add(OpId::RmsNorm, {x, new_g}, y, {}, {1e-5}));
  EXPECT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w, {1, 0})}, y));
}

// Memory is handed out again within a list.
TEST(StepListOrderTest, TurnsIntoThePlaceOfWhatWasReadBefore) {
  const int heads = 4, dim = 16, k = 256, n = heads * dim;
  const TestArray x = RandomArray(DType::F16, {1, k}, 1);
  const TestArray wq = RandomArray(DType::F16, {n, k}, 2, -0.1, 0.1);
  const TestArray wk = RandomArray(DType::F16, {n, k}, 3, -0.1, 0.1);
  const TestArray cos = RandomArray(DType::F32, {1, dim / 2}, 4);
  const TestArray sin = RandomArray(DType::F32, {1, dim / 2}, 5);
  const TestArray q = Poisoned(DType::F16, {1, heads, dim});
  const TestArray key = Poisoned(DType::F16, {1, heads, dim});
  const TestArray turned = Poisoned(DType::F16, {1, heads, dim});
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(wq, {1, 0})}, q));
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(wk, {1, 0})}, key));
  ASSERT_TRUE(list.Add(OpId::Rope, {key, cos, sin}, turned, {0}));
  ASSERT_TRUE(list.Add(OpId::Rope, {q, cos, sin}, key, {0}));
  list.Run();
  const std::vector<double> want_key =
      Turned(Product(x.Values(), wk.Values()), cos, sin, dim);
  const std::vector<double> want_q = Turned(q.Values(), cos, sin, dim);
  for (int i = 0; i < n; ++i) {
    ASSERT_NEAR(turned.Get(i), want_key[i], 0.02) << i;
    ASSERT_NEAR(key.Get(i), want_q[i], 2e-3) << i;
  }
}

TEST(StepListOrderTest, GatesIntoThePlaceOfWhatAProductReads) {
  const int k = 64, n = 264;
  const TestArray x = RandomArray(DType::F16, {1, k}, 1);
  std::vector<TestArray> w;
  for (uint32_t i = 0; i < 3; ++i) {
    w.push_back(RandomArray(DType::F16, {n, k}, 2 + i, -0.1, 0.1));
  }
  const TestArray m = RandomArray(DType::F16, {1, n}, 8);
  const std::vector<double> before = m.Values();
  const TestArray z = Poisoned(DType::F16, {1, n});
  const TestArray g = Poisoned(DType::F16, {1, n});
  const ElementwiseProgram times = EpilogueOf({OpId::Mul});
  const ElementwiseProgram silu = ProgramOf(OpId::Silu);
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w[0], {1, 0}), m}, z, {}, {},
                       &times));
  ASSERT_TRUE(
      list.Add(OpId::Matmul, {x, Permuted(w[1], {1, 0})}, g, {}, {}, &silu));
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w[2], {1, 0}), g}, m, {}, {},
                       &times));
  EXPECT_EQ(list.steps(), 3u);
  list.Run();
  const std::vector<double> first = Product(x.Values(), w[0].Values());
  const std::vector<double> last = Product(x.Values(), w[2].Values());
  for (int i = 0; i < n; ++i) {
    ASSERT_NEAR(z.Get(i), first[i] * before[i], 5e-3) << i;
    ASSERT_NEAR(m.Get(i), last[i] * g.Get(i), 5e-3) << i;
  }
}

TEST(StepListOrderTest, WritesToACacheWhatBecameOfAProduct) {
  const int k = 64, n = 32;
  const TestArray x = RandomArray(DType::F16, {1, k}, 1);
  const TestArray w = RandomArray(DType::F16, {n, k}, 2, -0.1, 0.1);
  const TestArray y = Poisoned(DType::F16, {1, n});
  const TestArray cache = Poisoned(DType::F16, {3, n});
  const ElementwiseProgram negated = ProgramOf(OpId::Neg);
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w, {1, 0})}, y));
  ASSERT_TRUE(list.Add(OpId::Identity, {y}, y, {}, {}, &negated));
  ASSERT_TRUE(list.Add(OpId::Assign, {cache, y}, cache, {1, 1, n, 1}, {1, 0}));
  list.Run();
  const std::vector<double> made = Product(x.Values(), w.Values());
  for (int i = 0; i < n; ++i) {
    ASSERT_NEAR(y.Get(i), -made[i], 0.01) << i;
    ASSERT_EQ(cache.Get(n + i), y.Get(i)) << i;
  }
}

// Of three products the last has the x of the first, and the second is one
// level further. Rows of all are in the same threads, which does not put them in
// order.
TEST(StepListOrderTest, DoesNotOvertakeAProductThatReadsWhatItWrites) {
  const int n = 64;
  const TestArray x = RandomArray(DType::F16, {1, n}, 1);
  std::vector<TestArray> w;
  for (uint32_t i = 0; i < 3; ++i) {
    w.push_back(RandomArray(DType::F16, {n, n}, 2 + i, -0.1, 0.1));
  }
  const TestArray y = Poisoned(DType::F16, {1, n});
  const TestArray beside = RandomArray(DType::F16, {1, n}, 8);
  const std::vector<double> before = beside.Values();
  const TestArray z = Poisoned(DType::F16, {1, n});
  const ElementwiseProgram add = EpilogueOf({OpId::Add});
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w[0], {1, 0})}, y));
  ASSERT_TRUE(list.Add(OpId::Matmul, {y, Permuted(w[1], {1, 0}), beside}, z, {},
                       {}, &add));
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w[2], {1, 0})}, beside));
  list.Run();
  const std::vector<double> second = Product(y.Values(), w[1].Values());
  const std::vector<double> last = Product(x.Values(), w[2].Values());
  for (int i = 0; i < n; ++i) {
    ASSERT_NEAR(z.Get(i), second[i] + before[i], 5e-3) << i;
    ASSERT_NEAR(beside.Get(i), last[i], 5e-3) << i;
  }
}

// The row that a norm makes is there for all blocks only when it is a step.
TEST(StepListOrderTest, KeepsANormThatIsAddedToItsProductApart) {
  const int n = 64;
  const TestArray x = RandomArray(DType::F16, {1, n}, 1);
  const TestArray g = RandomArray(DType::F16, {n}, 2);
  const TestArray w = RandomArray(DType::F16, {n, n}, 3, -0.1, 0.1);
  const TestArray h = Poisoned(DType::F16, {1, n});
  const TestArray y = Poisoned(DType::F16, {1, n});
  const ElementwiseProgram add = EpilogueOf({OpId::Add});
  TestList list;
  ASSERT_TRUE(list.Add(OpId::RmsNorm, {x, g}, h, {}, {1e-5}));
  ASSERT_TRUE(
      list.Add(OpId::Matmul, {h, Permuted(w, {1, 0}), h}, y, {}, {}, &add));
  EXPECT_EQ(list.steps(), 2u);
  list.Run();
  const std::vector<double> normed = RmsNormOf(x.Values(), g.Values(), 1e-5);
  const std::vector<double> product = Product(normed, w.Values());
  for (int i = 0; i < n; ++i) {
    ASSERT_NEAR(y.Get(i), product[i] + normed[i], 0.01) << i;
  }
}

TEST(StepListOrderTest, WritesTheLaterOfTwoProductsToAPlace) {
  const int n = 64;
  const TestArray x = RandomArray(DType::F16, {1, n}, 1);
  const TestArray first = RandomArray(DType::F16, {n, n}, 2, -0.1, 0.1);
  const TestArray second = RandomArray(DType::F16, {n, n}, 3, -0.1, 0.1);
  const TestArray y = Poisoned(DType::F16, {1, n});
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(first, {1, 0})}, y));
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(second, {1, 0})}, y));
  EXPECT_EQ(list.steps(), 2u);
  list.Run();
  const std::vector<double> want = Product(x.Values(), second.Values());
  for (int i = 0; i < n; ++i) ASSERT_NEAR(y.Get(i), want[i], 5e-3) << i;
}

// A row that another thread has just made is not added before that one is done.
TEST(StepListOrderTest, AddsPackedRowsThatWereJoinedInRoundsOfOtherLengths) {
  const int k = 1280, n = 120 * Card().multiprocessors;
  const TestArray x = RandomArray(DType::F16, {1, k}, 1);
  const Weights first(DType::Q8_0, n, k, 2);  // 104 rows a round
  const Weights second(DType::Q4_0, n, k, 3);  // 128
  const TestArray y = Poisoned(DType::F16, {1, n});
  const TestArray z = Poisoned(DType::F16, {1, n});
  const ElementwiseProgram add = EpilogueOf({OpId::Add});
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(first.array, {1, 0})}, y));
  ASSERT_TRUE(
      list.Add(OpId::Matmul, {x, Permuted(second.array, {1, 0}), y}, z, {}, {}, &add));
  list.Run();
  const std::vector<double> rounded = RoundedInGroups(x.Values());
  const std::vector<double> one = Product(rounded, first.values);
  const std::vector<double> other = Product(rounded, second.values);
  for (int i = 0; i < n; ++i) {
    const double want = RoundedTo(DType::F16, one[i]) + RoundedTo(DType::F16, other[i]);
    ASSERT_NEAR(z.Get(i), want, std::abs(want) * 0.01 + 0.1) << i;
  }
}

}  // namespace
}  // namespace tl::cuda
