#include "base/error.h"
#include "kernel_tests/packed_test.h"
#include "tensor/decode.h"

namespace tl::TL_KERNELS {
namespace {

constexpr DType kTypes[] = {DType::F16, DType::F32, DType::I32};

// Indices of an axis of `size`, every other one counted from the end.
TestArray RandomIndex(const Dims& dims, int64_t size, uint32_t seed) {
  const TestArray index = Poisoned(DType::I32, dims);
  std::mt19937 random(seed);
  for (int64_t i = 0; i < ElementCount(dims); ++i) {
    const auto at = static_cast<int64_t>(random() % size);
    index.Set(i, static_cast<double>(i % 2 ? at - size : at));
  }
  return index;
}

std::vector<int64_t> Positions(const Dims& dims, int64_t i) {
  std::vector<int64_t> at(dims.size());
  for (size_t axis = dims.size(); axis-- > 0;) {
    at[axis] = i % dims[axis];
    i /= dims[axis];
  }
  return at;
}

int64_t IndexOf(const Dims& dims, const std::vector<int64_t>& at) {
  int64_t i = 0;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    i = i * dims[axis] + at[axis];
  }
  return i;
}

// The position in `dims` that element i of `index` points at.
int64_t Target(const TestArray& index, int64_t i, const Dims& dims, int axis) {
  std::vector<int64_t> at = Positions(index.dims, i);
  const auto chosen = static_cast<int64_t>(index.Get(i));
  at[axis] = chosen < 0 ? chosen + dims[axis] : chosen;
  return IndexOf(dims, at);
}

template <class F>
std::string ErrorOf(F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kProgram);
    return error.text();
  }
  return "no error";
}

void SelectAndExpect(const TestArray& x, const TestArray& index, int axis) {
  Dims dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), index.dims.begin(), index.dims.end());
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  std::vector<double> expected;
  const int64_t inner =
      ElementCount(Dims(x.dims.begin() + axis + 1, x.dims.end()));
  const int64_t outer =
      ElementCount(Dims(x.dims.begin(), x.dims.begin() + axis));
  for (int64_t o = 0; o < outer; ++o) {
    for (double chosen : index.Values()) {
      if (chosen < 0) chosen += static_cast<double>(x.dims[axis]);
      const int64_t row = o * x.dims[axis] + static_cast<int64_t>(chosen);
      for (int64_t i = 0; i < inner; ++i) {
        expected.push_back(x.Get(row * inner + i));
      }
    }
  }
  const TestArray result = Poisoned(x.dtype, dims);
  Call(IndexSelect, {x, index}, {result}, {axis});
  ExpectClose(result, expected, 0);
}

TEST(IndexSelectTest, SelectsAlongEveryAxis) {
  for (DType dtype : kTypes) {
    for (const Dims& dims : {Dims{1}, {17}, {5, 7}, {3, 1, 33}, {2, 3, 5, 4}}) {
      const TestArray x = RandomArray(dtype, dims, 1, -99, 99);
      for (int axis = 0; axis < std::ssize(dims); ++axis) {
        for (const Dims& chosen : {Dims{0}, {1}, {19}, {2, 3}}) {
          SelectAndExpect(x, RandomIndex(chosen, dims[axis], 2), axis);
        }
      }
    }
  }
}

TEST(IndexSelectTest, DropsTheAxisForASingleIndex) {
  const TestArray x = RandomArray(DType::F16, {5, 7}, 1);
  for (int axis : {0, 1}) {
    SelectAndExpect(x, ArrayOf(DType::I32, {}, {-2}), axis);
  }
}

TEST(IndexSelectTest, GivesAFloat32WhereNoAxisIsLeft) {
  const TestArray x = ArrayOf(DType::F16, {3}, {0.1, 0.2, 0.3});
  const TestArray result = Poisoned(DType::F32, {});
  Call(IndexSelect, {x, ArrayOf(DType::I32, {}, {-1})}, {result}, {0});
  ExpectClose(result, {x.Get(2)}, 0);
}

TEST(IndexSelectTest, DecodesTheChosenRowsOfAPackedMatrix) {
  for (DType dtype : PackedDTypes()) {
    SCOPED_TRACE(Info(dtype).name);
    const int64_t rows = 5, columns = 2 * Info(dtype).block_elements;
    const auto blocks = RandomBlocks(dtype, rows * columns, 1);
    std::vector<float> all(rows * columns);
    Decode(dtype, blocks, all);
    const TestArray x = PackedArray(dtype, {rows, columns}, blocks);
    const TestArray index = RandomIndex({7}, rows, 2);
    std::vector<double> expected;
    for (double chosen : index.Values()) {
      const auto row =
          static_cast<int64_t>(chosen < 0 ? chosen + rows : chosen);
      expected.insert(expected.end(), all.begin() + row * columns,
                      all.begin() + (row + 1) * columns);
    }
    for (DType to : {DType::F16, DType::F32}) {
      const TestArray result = Poisoned(to, {7, columns});
      Call(IndexSelect, {x, index}, {result}, {0});
      ExpectClose(result, expected, 0);
    }
  }
}

TEST(IndexSelectTest, SelectsNothingFromNothing) {
  SelectAndExpect(RandomArray(DType::F16, {0, 3}, 1), RandomIndex({0}, 1, 1),
                  0);
  SelectAndExpect(RandomArray(DType::F16, {3, 0}, 1), RandomIndex({4}, 3, 1),
                  0);
}

TEST(IndexSelectTest, GivesTheSameBitsOnAnyThreads) {
  const TestArray x = RandomArray(DType::F16, {100, 333}, 1);
  const TestArray index = RandomIndex({700}, 100, 2);
  const TestArray result = Poisoned(DType::F16, {700, 333});
  ExpectSameBitsOnAnyThreads(result, [&] {
    Call(IndexSelect, {x, index}, {result}, {0});
  });
}

TEST(IndexSelectTest, NamesTheFirstIndexOutOfRange) {
  const TestArray x = RandomArray(DType::F16, {10, 4}, 1);
  const TestArray index = ArrayOf(DType::I32, {4}, {9, -10, 12, 99});
  const TestArray result = Poisoned(DType::F16, {4, 4});
  EXPECT_EQ(ErrorOf([&] {
              Call(IndexSelect, {x, index}, {result}, {0});
            }),
            "index 12 is out of range for axis 0 of size 10");
  EXPECT_TRUE(std::isnan(result.Get(0)));  // nothing was written
  const TestArray low = ArrayOf(DType::I32, {1}, {-11});
  const TestArray row = Poisoned(DType::F16, {1, 4});
  EXPECT_EQ(ErrorOf([&] {
              Call(IndexSelect, {x, low}, {row}, {0});
            }),
            "index -11 is out of range for axis 0 of size 10");
}

TEST(IndexSelectTest, NamesTheFirstOfManyIndicesOnAnyThreads) {
  const TestArray x = RandomArray(DType::F16, {10}, 1);
  const TestArray index = RandomIndex({300000}, 10, 1);
  index.Set(299999, 11);
  index.Set(200000, -12);
  const TestArray result = Poisoned(DType::F16, {300000});
  for (int threads : {1, 2, 5}) {
    SetThreads(threads);
    EXPECT_EQ(ErrorOf([&] {
                Call(IndexSelect, {x, index}, {result}, {0});
              }),
              "index -12 is out of range for axis 0 of size 10");
  }
  SetThreads(DefaultThreads());
}

TEST(IndexSelectTest, RefusesAnyIndexOfAnEmptyAxis) {
  const TestArray x = RandomArray(DType::F16, {0, 4}, 1);
  const TestArray result = Poisoned(DType::F16, {1, 4});
  EXPECT_EQ(
      ErrorOf([&] {
        Call(IndexSelect, {x, ArrayOf(DType::I32, {1}, {0})}, {result}, {0});
      }),
      "index 0 is out of range for axis 0 of size 0");
}

struct Case {
  Dims x;
  Dims index;
};

// An index may be smaller than x on the other axes, and larger on its own.
const Case kCases[] = {
    {{17}, {40}},
    {{5, 7}, {5, 7}},
    {{5, 7}, {3, 2}},
    {{1, 1}, {1, 1}},
    {{5, 7}, {0, 7}},
    {{5, 7}, {5, 0}},
    {{3, 33}, {3, 1}},
    {{3, 4, 17}, {3, 4, 17}},
    {{3, 4, 17}, {2, 3, 9}},
    {{1, 9}, {1, 9}},
    {{2, 3, 4, 5}, {2, 1, 4, 3}},
};

TEST(GatherTest, GathersAlongEveryAxis) {
  for (DType dtype : kTypes) {
    for (const Case& c : kCases) {
      const TestArray x = RandomArray(dtype, c.x, 1, -99, 99);
      for (int axis = 0; axis < std::ssize(c.x); ++axis) {
        Dims dims = c.index;
        dims[axis] += 2;  // may be longer than x along its own axis
        const TestArray index = RandomIndex(dims, c.x[axis], 2);
        std::vector<double> expected;
        for (int64_t i = 0; i < ElementCount(dims); ++i) {
          expected.push_back(x.Get(Target(index, i, c.x, axis)));
        }
        const TestArray result = Poisoned(dtype, dims);
        Call(Gather, {x, index}, {result}, {axis});
        ExpectClose(result, expected, 0);
      }
    }
  }
}

TEST(GatherTest, GivesTheSameBitsOnAnyThreads) {
  const TestArray x = RandomArray(DType::F16, {64, 999}, 1);
  for (int axis : {0, 1}) {
    const TestArray index = RandomIndex({64, 999}, x.dims[axis], 2);
    const TestArray result = Poisoned(DType::F16, {64, 999});
    ExpectSameBitsOnAnyThreads(result, [&] {
      Call(Gather, {x, index}, {result}, {axis});
    });
  }
}

TEST(GatherTest, NamesTheFirstIndexOutOfRange) {
  const TestArray x = RandomArray(DType::F16, {2, 3}, 1);
  const TestArray index = ArrayOf(DType::I32, {2, 2}, {0, 1, 3, 4});
  EXPECT_EQ(ErrorOf([&] {
              Call(Gather, {x, index}, {Poisoned(DType::F16, {2, 2})}, {1});
            }),
            "index 3 is out of range for axis 1 of size 3");
}

void ScatterAndExpect(const TestArray& x, const TestArray& index,
                      const TestArray& source, const TestArray& result,
                      int axis) {
  std::vector<double> expected = x.Values();
  for (int64_t i = 0; i < ElementCount(index.dims); ++i) {
    expected[Target(index, i, x.dims, axis)] =
        source.Get(IndexOf(source.dims, Positions(index.dims, i)));
  }
  Call(Scatter, {x, index, source}, {result}, {axis});
  ExpectClose(result, expected, 0);
}

// Many indices fall on one place: the last one must be seen.
TEST(ScatterTest, ScattersAlongEveryAxisAndTheLastWriteWins) {
  for (DType dtype : kTypes) {
    for (const Case& c : kCases) {
      for (int axis = 0; axis < std::ssize(c.x); ++axis) {
        const TestArray x = RandomArray(dtype, c.x, 1, -99, 99);
        Dims dims = c.index;
        dims[axis] += 2;
        const TestArray index = RandomIndex(dims, c.x[axis], 2);
        for (int64_t extra : {0, 1}) {  // a source may be larger than its index
          Dims larger = dims;
          for (int64_t& dim : larger) dim += extra;
          const TestArray source = RandomArray(dtype, larger, 3, -99, 99);
          ScatterAndExpect(x, index, source, Poisoned(dtype, c.x), axis);
        }
      }
    }
  }
}

TEST(ScatterTest, WritesInPlace) {
  const TestArray x = RandomArray(DType::F16, {5, 7}, 1);
  ScatterAndExpect(x, RandomIndex({3, 7}, 5, 2),
                   RandomArray(DType::F16, {3, 7}, 3), x, 0);
}

TEST(ScatterTest, GivesTheSameBitsOnAnyThreads) {
  const TestArray x = RandomArray(DType::F16, {64, 999}, 1);
  const TestArray source = RandomArray(DType::F16, {128, 999}, 3);
  const TestArray index = RandomIndex({128, 999}, 64, 2);
  const TestArray result = Poisoned(DType::F16, {64, 999});
  ExpectSameBitsOnAnyThreads(result, [&] {
    Call(Scatter, {x, index, source}, {result}, {0});
  });
}

TEST(ScatterTest, RefusesAnIndexOutOfRangeAndWritesNothing) {
  const TestArray x = RandomArray(DType::F16, {2, 3}, 1);
  const std::vector<double> before = x.Values();
  const TestArray index = ArrayOf(DType::I32, {1, 3}, {1, -2, -3});
  const TestArray source = RandomArray(DType::F16, {1, 3}, 2);
  EXPECT_EQ(ErrorOf([&] {
              Call(Scatter, {x, index, source}, {x}, {0});
            }),
            "index -3 is out of range for axis 0 of size 2");
  EXPECT_EQ(x.Values(), before);
}

}  // namespace
}  // namespace tl::TL_KERNELS
