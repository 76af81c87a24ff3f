// Rows that steps hand on: what they make with them, and where all blocks wait
// for each other all the same.
#include "cuda/runtime.h"
#include "cuda/step_list_test.h"

namespace tl::cuda {
namespace {

// As many columns as rows, and enough for each block of a card to have some.
constexpr int kWidth = 320;

const ElementwiseProgram& Plus() {
  static const ElementwiseProgram program = EpilogueOf({OpId::Add});
  return program;
}

// x w^T + beside
std::vector<double> ProductAndSum(const TestArray& x, const Weights& w,
                                  const TestArray& beside) {
  const std::vector<double> values =
      IsPacked(w.array.dtype) ? RoundedInGroups(x.Values()) : x.Values();
  std::vector<double> result = Product(values, w.values);
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] =
        RoundedTo(DType::F16, result[i]) + beside.Get(static_cast<int64_t>(i));
  }
  return result;
}

void ExpectNear(const TestArray& made, const std::vector<double>& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(made.Get(static_cast<int64_t>(i)), want[i],
                0.01 * (1 + std::abs(want[i])))
        << i;
  }
}

TEST(StepListHandTest, NoBlockWaitsForAllBetweenProducts) {
  constexpr int kProducts = 3;
  for (const DType dtype : {DType::F16, DType::Q8_0, DType::Q4_0}) {
    SCOPED_TRACE(Info(dtype).name);
    // Each product of packed weights is some hundred times as large as its x.
    std::vector<TestArray> rows = {
        RandomArray(DType::F16, {1, kWidth}, 1, -0.001, 0.001)};
    TestList list;
    std::vector<Weights> weights;
    for (uint32_t i = 0; i < kProducts; ++i) {
      weights.emplace_back(dtype, kWidth, kWidth, 2 + i);
      rows.push_back(Poisoned(DType::F16, {1, kWidth}));
      ASSERT_TRUE(list.Add(
          OpId::Matmul, {rows[i], Permuted(weights[i].array, {1, 0}), rows[i]},
          rows[i + 1], {}, {}, &Plus()));
    }
    EXPECT_EQ(list.levels(), size_t{kProducts});
    list.Run();
    EXPECT_EQ(list.waits(), 0u);
    for (int i = 0; i < kProducts; ++i) {
      ExpectNear(rows[i + 1], ProductAndSum(rows[i], weights[i], rows[i]));
    }
  }
}

TEST(StepListHandTest, MakesRoomForALongerRow) {
  TestList list;
  for (const int width : {kWidth, 4 * kWidth, kWidth}) {
    const TestArray x = RandomArray(DType::F16, {1, width}, 1);
    const Weights first(DType::F16, width, width, 2), second(DType::F16, width, width, 3);
    const TestArray y = Poisoned(DType::F16, {1, width});
    const TestArray z = Poisoned(DType::F16, {1, width});
    ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(first.array, {1, 0}), x}, y, {}, {},
                         &Plus()));
    ASSERT_TRUE(list.Add(OpId::Matmul, {y, Permuted(second.array, {1, 0}), y}, z, {}, {},
                         &Plus()));
    list.Run();
    EXPECT_EQ(list.waits(), 0u);
    ExpectNear(z, ProductAndSum(y, second, y));
  }
}

// A norm is written by one block, and read as an operand by all.
TEST(StepListHandTest, WaitsForWhatIsNotPartOfTheRow) {
  const TestArray x = RandomArray(DType::F16, {1, kWidth}, 1);
  const TestArray g = RandomArray(DType::F32, {kWidth}, 2);
  std::vector<Weights> weights;
  std::vector<TestArray> y;
  for (uint32_t i = 0; i < 3; ++i) {
    weights.emplace_back(DType::F16, kWidth, kWidth, 3 + i);
    y.push_back(Poisoned(DType::F16, {1, kWidth}));
  }
  const TestArray h = Poisoned(DType::F16, {1, kWidth});
  TestList list;
  const auto add = [&](const TestArray& from, int i, const TestArray& beside) {
    return list.Add(OpId::Matmul,
                    {from, Permuted(weights[i].array, {1, 0}), beside}, y[i],
                    {}, {}, &Plus());
  };
  ASSERT_TRUE(add(x, 0, x));
  ASSERT_TRUE(list.Add(OpId::RmsNorm, {y[0], g}, h, {}, {1e-5}));
  ASSERT_TRUE(add(h, 1, y[0]));
  ASSERT_TRUE(add(y[1], 2, h));
  EXPECT_EQ(list.steps(), 3u);
  list.Run();
  EXPECT_EQ(list.waits(), 1u);
  ExpectNear(y[0], ProductAndSum(x, weights[0], x));
  ExpectNear(y[1], ProductAndSum(h, weights[1], y[0]));
  ExpectNear(y[2], ProductAndSum(y[1], weights[2], h));
}

// Rows of so many columns are one to a group, others are more: they are in other
// threads of a block.
TEST(StepListHandTest, ThreadsOfABlockWaitForWhatOthersOfItMade) {
  constexpr int kColumns = RowsStep::kMostColumns;
  const TestArray x = RandomArray(DType::F16, {1, kColumns}, 1, -0.1, 0.1);
  const Weights a(DType::F16, kWidth, kColumns, 2), b(DType::F16, kWidth, kWidth, 3);
  const TestArray beside = RandomArray(DType::F16, {1, kWidth}, 4);
  const TestArray y = Poisoned(DType::F16, {1, kWidth});
  const TestArray z = Poisoned(DType::F16, {1, kWidth});
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(a.array, {1, 0}), beside}, y, {},
                       {}, &Plus()));
  ASSERT_TRUE(list.Add(OpId::Matmul, {y, Permuted(b.array, {1, 0}), y}, z, {}, {},
                       &Plus()));
  list.Run();
  EXPECT_EQ(list.waits(), 0u);
  ExpectNear(y, ProductAndSum(x, a, beside));
  ExpectNear(z, ProductAndSum(y, b, y));
}

// But what is written there afterwards is.
TEST(StepListHandTest, StoresNothingThatIsForgotten) {
  const TestArray x = RandomArray(DType::F16, {1, kWidth}, 1);
  const Weights a(DType::F16, kWidth, kWidth, 2), b(DType::F16, kWidth, kWidth, 3);
  const TestArray y = Poisoned(DType::F16, {1, kWidth});
  const TestArray z = Poisoned(DType::F16, {1, kWidth});
  const std::vector<double> values = ProductAndSum(x, a, x);
  const TestArray between = ArrayOf(DType::F16, {1, kWidth}, values);
  TestList list;
  const auto add = [&](const TestArray& from, const Weights& w, const TestArray& to) {
    return list.Add(OpId::Matmul, {from, Permuted(w.array, {1, 0}), x}, to, {}, {},
                    &Plus());
  };
  ASSERT_TRUE(add(x, a, y));
  ASSERT_TRUE(add(y, b, z));
  list.Forget(y);
  list.Run();
  EXPECT_TRUE(std::isnan(y.Get(0)));
  ExpectNear(z, ProductAndSum(between, b, x));
  ASSERT_TRUE(add(x, b, y));
  list.Forget(y);
  ASSERT_TRUE(add(x, a, y));
  list.Run();
  ExpectNear(y, values);
}

// Who wrote there first has handed on what he made: he need not write it, and
// who writes there next need not wait for that.
TEST(StepListHandTest, StoresNothingThatIsWrittenOverUnread) {
  const TestArray x = RandomArray(DType::F16, {1, kWidth}, 1);
  const TestArray both = Poisoned(DType::F16, {1, 2 * kWidth});
  const TestArray y = Poisoned(DType::F16, {1, kWidth});
  TestArray first = both;  // half of it
  first.dims = {1, kWidth};
  const TestArray beside = RandomArray(DType::F16, {1, 2 * kWidth}, 2);
  const Weights a(DType::F16, kWidth, kWidth, 3),
      b(DType::F16, kWidth, kWidth, 4), c(DType::F16, 2 * kWidth, kWidth, 5);
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(a.array, {1, 0}), x}, first,
                       {}, {}, &Plus()));
  ASSERT_TRUE(list.Add(OpId::Matmul, {first, Permuted(b.array, {1, 0}), x}, y,
                       {}, {}, &Plus()));
  ASSERT_TRUE(list.Add(OpId::Matmul, {y, Permuted(c.array, {1, 0}), beside},
                       both, {}, {}, &Plus()));
  list.Run();
  EXPECT_EQ(list.waits(), 0u);
  ExpectNear(both, ProductAndSum(y, c, beside));
}

// Queries, keys and values of a token, its attention, and the product after
// that.
struct Layer {
  int keys, heads, kv_heads, dim, window;
};

// Values may be of another type than queries and keys.
void ExpectLayer(const Layer& at, DType dtype, DType of_values) {
  SCOPED_TRACE(testing::Message()
               << Info(dtype).name << ", " << at.keys << " keys, " << at.heads
               << " of " << at.kv_heads << " heads, window " << at.window);
  const int dim = at.dim, k = 512, kv_heads = at.kv_heads;
  const TestArray before = RandomArray(DType::F16, {1, kWidth}, 1);
  const Weights first_w(DType::F16, k, kWidth, 13);
  const TestArray start = RandomArray(DType::F16, {1, k}, 15);
  const TestArray residual = Poisoned(DType::F16, {1, k});
  const TestArray g = RandomArray(DType::F32, {k}, 14, 0, 0.1);
  const TestArray x = Poisoned(DType::F16, {1, k});  // its norm
  const TestArray cos = RandomArray(DType::F32, {1, dim / 2}, 2);
  const TestArray sin = RandomArray(DType::F32, {1, dim / 2}, 3);
  const TestArray beside = RandomArray(DType::F16, {1, kWidth}, 4);
  const int counts[] = {at.heads, kv_heads, kv_heads};
  TestList list;
  std::vector<Weights> weights;
  std::vector<TestArray> made, turned, caches;
  ASSERT_TRUE(list.Add(OpId::Matmul,
                       {before, Permuted(first_w.array, {1, 0}), start},
                       residual, {}, {}, &Plus()));
  ASSERT_TRUE(list.Add(OpId::RmsNorm, {residual, g}, x, {}, {1e-5}));
  for (uint32_t i = 0; i < 3; ++i) {
    weights.emplace_back(i < 2 ? dtype : of_values, counts[i] * dim, k, 5 + i);
    made.push_back(Poisoned(DType::F16, {1, counts[i], dim}));
    turned.push_back(Poisoned(DType::F16, {1, counts[i], dim}));
    caches.push_back(RandomArray(DType::F16, {at.keys, counts[i], dim}, 8 + i));
    ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(weights[i].array, {1, 0})},
                         made[i]));
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(list.Add(OpId::Rope, {made[i], cos, sin}, turned[i], {0}));
  }
  for (int i = 1; i < 3; ++i) {
    ASSERT_TRUE(list.Add(
        OpId::Assign, {caches[i], i == 1 ? turned[1] : made[2]}, caches[i],
        {1, 1, kv_heads, 1, dim, 1}, {double(at.keys - 1), 0, 0}));
  }
  const TestArray y = Poisoned(DType::F16, {1, at.heads, dim});
  ASSERT_TRUE(list.Add(OpId::Attention, {turned[0], caches[1], caches[2]}, y,
                       {1, 0, at.window}, {0.02, 0, 0}));
  TestArray row = y;
  row.dims = {1, at.heads * dim};
  row.strides = {at.heads * dim, 1};
  const Weights w(DType::F16, kWidth, at.heads * dim, 12);
  const TestArray out = Poisoned(DType::F16, {1, kWidth});
  ASSERT_TRUE(list.Add(OpId::Matmul, {row, Permuted(w.array, {1, 0}), beside},
                       out, {}, {}, &Plus()));
  EXPECT_EQ(list.steps(), dtype == of_values ? 4u : 5u);
  EXPECT_EQ(list.levels(), 4u);
  list.Run();
  EXPECT_EQ(list.waits(), 0u);
  const int first = at.window > 0 ? std::max(0, at.keys - at.window) : 0;
  const std::vector<double> want =
      Attended(turned[0], caches[1], caches[2], at.keys, 0.02, first);
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(y.Get(static_cast<int64_t>(i)), want[i],
                2e-3 * (1 + std::abs(want[i])))
        << i;
  }
  ExpectNear(out, ProductAndSum(row, w, beside));
}

TEST(StepListHandTest, AttendsToATokenThatIsHandedOn) {
  for (const Layer& layer : {Layer{1, 8, 1, 64, 0},
                             {16, 8, 2, 64, 0},
                             {129, 6, 2, 64, 0},
                             {300, 4, 4, 64, 0},
                             {700, 8, 1, 64, 0},
                             {700, 8, 1, 64, 130},
                             {17, 4, 1, 128, 0},
                             {290, 3, 3, 128, 0},
                             {600, 8, 1, 128, 600},
                             {600, 8, 1, 128, 33}}) {
    ExpectLayer(layer, DType::F16, DType::F16);
  }
  ExpectLayer({150, 8, 2, 64, 0}, DType::Q4_0, DType::Q4_0);
  ExpectLayer({150, 8, 2, 64, 0}, DType::Q4_K, DType::Q6_K);
}

// What the first of two tokens adds to keys and values the second reads, which are
// fetched ahead of the steps before it if nothing of the list writes them.
TEST(StepListHandTest, AttendsToWhatATokenOfTheSameListAdded) {
  const int keys = 40, heads = 4, dim = 64, k = 512;
  std::vector<TestArray> caches, made, y;
  std::vector<Weights> weights;
  for (uint32_t i = 0; i < 2; ++i) {
    caches.push_back(RandomArray(DType::F16, {keys, heads, dim}, 1 + i));
  }
  for (uint32_t i = 0; i < 3; ++i) {
    weights.emplace_back(DType::F16, heads * dim, k, 3 + i);
  }
  TestList list;
  for (int token = 0; token < 2; ++token) {
    const TestArray x =
        RandomArray(DType::F16, {1, k}, static_cast<uint32_t>(6 + token));
    for (int i = 0; i < 3; ++i) {
      made.push_back(Poisoned(DType::F16, {1, heads, dim}));
      ASSERT_TRUE(list.Add(OpId::Matmul,
                           {x, Permuted(weights[i].array, {1, 0})}, made.back()));
    }
    const TestArray* const rows = &made[3 * token];
    const int seen = keys - 1 + token;
    std::vector<TestArray> there = caches;
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(list.Add(OpId::Assign, {caches[i], rows[1 + i]}, caches[i],
                           {1, 1, heads, 1, dim, 1},
                           {double(seen - 1), 0, 0}));
      there[i].dims[0] = seen;
    }
    y.push_back(Poisoned(DType::F16, {1, heads, dim}));
    ASSERT_TRUE(list.Add(OpId::Attention, {rows[0], there[0], there[1]}, y.back(),
                         {1, 0, 0}, {0.02, 0, 0}));
  }
  list.Run();
  for (int token = 0; token < 2; ++token) {
    const std::vector<double> want = Attended(made[3 * token], caches[0],
                                              caches[1], keys - 1 + token, 0.02);
    for (int i = 0; i < heads * dim; ++i) {
      ASSERT_NEAR(y[token].Get(i), want[i], 2e-3 * (1 + std::abs(want[i])))
          << token << " " << i;
    }
  }
}

// Each joins its own splits.
TEST(StepListHandTest, RunsTwoAttentionsBesideEachOther) {
  const int keys = 400, heads = 4, dim = 64;
  TestList list;
  std::vector<TestArray> q, k, v, y;
  for (uint32_t i = 0; i < 2; ++i) {
    q.push_back(RandomArray(DType::F16, {1, heads, dim}, 1 + i));
    k.push_back(RandomArray(DType::F16, {keys, 1, dim}, 3 + i));
    v.push_back(RandomArray(DType::F16, {keys, 1, dim}, 5 + i));
    y.push_back(Poisoned(DType::F16, {1, heads, dim}));
    ASSERT_TRUE(list.Add(OpId::Attention, {q[i], k[i], v[i]}, y[i], {1, 0, 0},
                         {0.1, 0, 0}));
  }
  EXPECT_EQ(list.levels(), 1u);
  list.Run();
  for (int i = 0; i < 2; ++i) {
    const std::vector<double> want = Attended(q[i], k[i], v[i], keys, 0.1);
    for (int at = 0; at < heads * dim; ++at) {
      ASSERT_NEAR(y[i].Get(at), want[at], 2e-3) << i << " " << at;
    }
  }
}

// The product's x is in the memory that the attention brings its queries to.
TEST(StepListHandTest, AttendsBesideAProduct) {
  const int keys = 40, dim = 64;
  const TestArray x = RandomArray(DType::F16, {1, 4096}, 1);
  const Weights w(DType::F16, 3 * kWidth, 4096, 2);
  const TestArray product = Poisoned(DType::F16, {1, 3 * kWidth});
  const TestArray q = RandomArray(DType::F16, {1, 4, dim}, 3);
  const TestArray k = RandomArray(DType::F16, {keys, 1, dim}, 4);
  const TestArray v = RandomArray(DType::F16, {keys, 1, dim}, 5);
  const TestArray y = Poisoned(DType::F16, {1, 4, dim});
  TestList list;
  ASSERT_TRUE(list.Add(OpId::Matmul, {x, Permuted(w.array, {1, 0})}, product));
  ASSERT_TRUE(
      list.Add(OpId::Attention, {q, k, v}, y, {1, 0, 0}, {0.1, 0, 0}));
  EXPECT_EQ(list.levels(), 1u);
  list.Run();
  ExpectNear(product, Product(x.Values(), w.values));
  const std::vector<double> want = Attended(q, k, v, keys, 0.1);
  for (int at = 0; at < 4 * dim; ++at) {
    ASSERT_NEAR(y.Get(at), want[at], 2e-3) << at;
  }
}

// More rows than there are numbers for them.
TEST(StepListHandTest, NumbersBeginAgain) {
  const int width = std::max(16, (2 * Card().multiprocessors + 7) / 8 * 8);
  constexpr int kProducts = 6, kRuns = 9;
  const TestArray x = RandomArray(DType::F16, {1, width}, 1);
  const Weights w(DType::F16, width, width, 2);
  const TestArray y = Poisoned(DType::F16, {1, width});
  const TestArray z = Poisoned(DType::F16, {1, width});
  TestMemory memory;
  StepList list(2 * kProducts + 1);
  const ElementwiseProgram plus = EpilogueOf({OpId::Add});
  const View from = memory.Place(x),
             weights = memory.Place(Permuted(w.array, {1, 0}));
  const View rows[] = {memory.Place(y), memory.Place(z)};
  for (int run = 0; run < kRuns; ++run) {
    for (int i = 0; i < kProducts; ++i) {
      const View inputs[] = {i == 0 ? from : rows[(i - 1) % 2], weights, from};
      KernelArgs args;
      args.inputs = inputs;
      args.outputs = {&rows[i % 2], 1};
      args.program = &plus;
      ASSERT_TRUE(list.Add(OpId::Matmul, args));
    }
    list.Flush();
    EXPECT_EQ(list.waits(), 0u);
  }
  memory.CopyBack(z);
  memory.CopyBack(y);
  ExpectNear(z, ProductAndSum(y, w, x));
}

}  // namespace
}  // namespace tl::cuda
