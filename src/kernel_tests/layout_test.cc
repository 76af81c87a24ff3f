// Concat and Assign, and with them every way of CopyStrided.
#include "base/error.h"
#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

constexpr DType kTypes[] = {DType::F16, DType::F32, DType::I32};

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

// `count` different values that all types hold.
TestArray Counting(DType dtype, const Dims& dims, int first) {
  const TestArray array = Poisoned(dtype, dims);
  const int64_t n = ElementCount(dims);
  for (int64_t i = 0; i < n; ++i) array.Set(i, (first + i * 7) % 2039);
  return array;
}

// The same dims and values in memory laid out otherwise.
std::vector<TestArray> Layouts(DType dtype, const Dims& dims, int first) {
  std::vector<TestArray> layouts = {Counting(dtype, dims, first)};
  std::vector<int> reversed(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) {
    reversed[i] = static_cast<int>(dims.size() - 1 - i);
  }
  const Dims turned(dims.rbegin(), dims.rend());
  layouts.push_back(Permuted(Counting(dtype, turned, first), reversed));
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    Dims wider = dims;
    wider[axis] = 2 * dims[axis] + 1;
    layouts.push_back(Sliced(Counting(dtype, wider, first),
                             static_cast<int>(axis), 2 * dims[axis], dims[axis],
                             -2));
    Dims single = dims;
    single[axis] = 1;
    layouts.push_back(BroadcastTo(Counting(dtype, single, first), dims));
  }
  return layouts;
}

std::vector<double> Joined(const std::vector<TestArray>& parts, int axis,
                           const Dims& dims) {
  std::vector<double> joined(ElementCount(dims));
  int64_t start = 0;
  for (const TestArray& part : parts) {
    for (int64_t i = 0; i < ElementCount(part.dims); ++i) {
      std::vector<int64_t> at = Positions(part.dims, i);
      at[axis] += start;
      joined[IndexOf(dims, at)] = part.Get(i);
    }
    start += part.dims[axis];
  }
  return joined;
}

TestArray JoinAndExpect(const std::vector<TestArray>& parts, int axis) {
  Dims dims = parts[0].dims;
  dims[axis] = 0;
  for (const TestArray& part : parts) dims[axis] += part.dims[axis];
  const TestArray result = Poisoned(parts[0].dtype, dims);
  Call(Concat, parts, {result}, {axis});
  ExpectClose(result, Joined(parts, axis, dims), 0);
  return result;
}

TEST(ConcatTest, JoinsAnyLayoutsAlongEveryAxis) {
  for (DType dtype : kTypes) {
    for (const Dims& dims : {Dims{1},
                             {17},
                             {0, 3},
                             {3, 0},
                             {1, 1},
                             {5, 7},
                             {3, 33, 2},
                             {2, 3, 5, 17}}) {
      for (const TestArray& part : Layouts(dtype, dims, 5)) {
        for (int axis = 0; axis < std::ssize(dims); ++axis) {
          Dims longer = dims;
          longer[axis] += 2;
          JoinAndExpect({part, Counting(dtype, longer, 900), part}, axis);
        }
      }
    }
  }
}

TEST(ConcatTest, JoinsManyParts) {
  std::vector<TestArray> parts;
  for (int i = 0; i < 50; ++i) {
    parts.push_back(Counting(DType::F16, {3, i % 4}, i));
  }
  JoinAndExpect(parts, 1);
}

// Larger than a tile of the transposing copy and than one task.
TEST(ConcatTest, JoinsLargeTransposedParts) {
  for (DType dtype : kTypes) {
    const TestArray part =
        Permuted(Counting(dtype, {3, 65, 700}, 1), {0, 2, 1});
    for (int axis = 0; axis < 3; ++axis) JoinAndExpect({part, part}, axis);
    const TestArray turned =
        Permuted(Counting(dtype, {129, 3, 300}, 1), {2, 1, 0});
    JoinAndExpect({turned, turned}, 0);
  }
}

TEST(ConcatTest, GivesTheSameBitsOnAnyThreads) {
  const TestArray part = Counting(DType::F16, {301, 517}, 3);
  const TestArray result = Poisoned(DType::F16, {602, 517});
  ExpectSameBitsOnAnyThreads(result, [&] {
    Call(Concat, {part, part}, {result}, {0});
  });
}

TEST(ConcatTest, KeepsEveryBit) {
  const TestArray x = Poisoned(DType::F16, {4});
  const uint16_t bits[] = {0x8000, 0x7c01, 0xfdab, 0x0001};
  std::memcpy(x.block.get(), bits, sizeof(bits));
  const TestArray result = Poisoned(DType::F16, {8});
  Call(Concat, {x, x}, {result}, {0});
  EXPECT_EQ(0, std::memcmp(result.block.get(), bits, sizeof(bits)));
  EXPECT_EQ(0, std::memcmp(result.block.get() + 8, bits, sizeof(bits)));
}

struct Range {
  int64_t start, count, step;
};

std::vector<double> Assigned(const TestArray& x, const TestArray& v,
                             const std::vector<Range>& ranges) {
  std::vector<double> result = x.Values();
  for (int64_t i = 0; i < ElementCount(v.dims); ++i) {
    std::vector<int64_t> at = Positions(v.dims, i);
    for (size_t axis = 0; axis < at.size(); ++axis) {
      at[axis] = ranges[axis].start + at[axis] * ranges[axis].step;
    }
    result[IndexOf(x.dims, at)] = v.Get(i);
  }
  return result;
}

void CallAssign(const TestArray& x, const TestArray& v, const TestArray& result,
                const std::vector<Range>& ranges) {
  std::vector<int64_t> ints;
  std::vector<double> starts;
  for (const Range& range : ranges) {
    ints.push_back(range.count);
    ints.push_back(range.step);
    starts.push_back(static_cast<double>(range.start));
  }
  Call(Assign, {x, v}, {result}, ints, starts);
}

TEST(AssignTest, WritesAnyRegionOfAnyLayout) {
  const std::vector<Range> regions[] = {
      {{0, 5, 1}, {0, 7, 1}}, {{4, 1, 1}, {0, 7, 1}},   {{0, 5, 1}, {6, 1, 1}},
      {{1, 2, 3}, {0, 4, 2}}, {{4, 5, -1}, {5, 3, -2}}, {{2, 0, 1}, {0, 7, 1}},
  };
  for (DType dtype : kTypes) {
    for (const TestArray& x : Layouts(dtype, {5, 7}, 2)) {
      for (const auto& ranges : regions) {
        const Dims region = {ranges[0].count, ranges[1].count};
        for (const TestArray& v : Layouts(dtype, region, 1000)) {
          const TestArray result = Poisoned(dtype, {5, 7});
          CallAssign(x, v, result, ranges);
          ExpectClose(result, Assigned(x, v, ranges), 0);
        }
      }
    }
  }
}

TEST(AssignTest, RepeatsANumberOrARow) {
  const TestArray x = Counting(DType::F16, {5, 7}, 2);
  const std::vector<Range> ranges = {{1, 2, 3}, {0, 4, 2}};
  for (const Dims& dims : {Dims{}, {1}, {4}, {1, 4}, {2, 1}}) {
    const TestArray v = Counting(DType::F16, dims, 1000);
    const TestArray result = Poisoned(DType::F16, {5, 7});
    CallAssign(x, v, result, ranges);
    ExpectClose(result, Assigned(x, BroadcastTo(v, {2, 4}), ranges), 0);
  }
}

TEST(AssignTest, WritesOnlyTheRegionInPlace) {
  const TestArray x = Counting(DType::F16, {5, 7}, 2);
  const TestArray v = Counting(DType::F16, {1, 7}, 1000);
  const std::vector<Range> ranges = {{3, 1, 1}, {0, 7, 1}};
  const std::vector<double> expected = Assigned(x, v, ranges);
  CallAssign(x, v, x, ranges);
  ExpectClose(x, expected, 0);
}

TEST(AssignTest, ReplacesANumber) {
  const TestArray x = ArrayOf(DType::F32, {}, {1});
  const TestArray v = ArrayOf(DType::F32, {}, {2});
  const TestArray result = Poisoned(DType::F32, {});
  CallAssign(x, v, result, {});
  ExpectClose(result, {2}, 0);
}

TEST(AssignTest, RefusesARegionOutsideTheTensorAndWritesNothing) {
  const TestArray x = Counting(DType::F16, {5, 7}, 2);
  const TestArray v = Counting(DType::F16, {}, 1000);
  const std::vector<double> before = x.Values();
  const auto text = [&](const std::vector<Range>& ranges) {
    try {
      CallAssign(x, v, x, ranges);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kProgram);
      return error.text();
    }
    return std::string("no error");
  };
  EXPECT_EQ(text({{5, 1, 1}, {0, 7, 1}}),
            "index 5 is out of range for axis 0 of size 5");
  EXPECT_EQ(text({{0, 5, 1}, {-1, 1, 1}}),
            "index -1 is out of range for axis 1 of size 7");
  EXPECT_EQ(text({{0, 5, 1}, {3, 3, 2}}),
            "index 7 is out of range for axis 1 of size 7");
  EXPECT_EQ(x.Values(), before);
}

}  // namespace
}  // namespace tl::TL_KERNELS
