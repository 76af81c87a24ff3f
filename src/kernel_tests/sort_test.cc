#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::nan("");

// The stable order of a row, NaN greatest.
std::vector<int64_t> OrderOf(const std::vector<double>& row, bool descending) {
  std::vector<int64_t> order(row.size());
  for (size_t i = 0; i < row.size(); ++i) order[i] = static_cast<int64_t>(i);
  const auto less = [](double a, double b) {
    return std::isnan(b) ? !std::isnan(a) : a < b;
  };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return descending ? less(row[b], row[a]) : less(row[a], row[b]);
  });
  return order;
}

void SortAndExpect(const TestArray& x, int64_t k, bool descending) {
  const int64_t n = x.dims.back();
  Dims dims = x.dims;
  dims.back() = k;
  std::vector<double> values, indices;
  const std::vector<double> all = x.Values();
  for (size_t row = 0; row < all.size(); row += n) {
    const std::vector<int64_t> order =
        OrderOf(std::vector<double>(all.begin() + row, all.begin() + row + n),
                descending);
    for (int64_t i = 0; i < k; ++i) {
      values.push_back(all[row + order[i]]);
      indices.push_back(static_cast<double>(order[i]));
    }
  }
  const TestArray value = Poisoned(x.dtype, dims);
  const TestArray index = Poisoned(DType::I32, dims);
  Call(TopK, {x}, {value}, {k, descending, 0});
  Call(TopK, {x}, {index}, {k, descending, 1});
  ExpectClose(value, values, 0);
  ExpectClose(index, indices, 0);
}

TEST(TopKTest, FindsTheFirstOfASortedRow) {
  for (DType dtype : {DType::F16, DType::F32, DType::I32}) {
    for (int64_t n : {1, 2, 17, 33, 300}) {
      // Few different values: most are ties.
      const TestArray x = RandomArray(dtype, {2, 3, n}, 1, -9, 9);
      const TestArray ties = Poisoned(dtype, {3, n});
      for (int64_t i = 0; i < 3 * n; ++i) ties.Set(i, i * i % 5 - 2);
      for (int64_t k : {int64_t{0}, int64_t{1}, int64_t{3}, n / 2, n}) {
        if (k > n) continue;
        for (bool descending : {false, true}) {
          SortAndExpect(x, k, descending);
          SortAndExpect(ties, k, descending);
        }
      }
    }
  }
}

// Rows of several runs that are sorted apart, an odd number of them too.
TEST(TopKTest, FindsTheFirstOfALongRow) {
  for (int64_t n : {2049, 7001}) {
    const TestArray x = RandomArray(DType::F16, {2, n}, 1, -9, 9);
    for (int64_t k : {int64_t{1}, int64_t{50}, int64_t{3000}, n}) {
      if (k > n) continue;
      for (bool descending : {false, true}) SortAndExpect(x, k, descending);
    }
  }
}

TEST(TopKTest, SortsNothing) {
  SortAndExpect(RandomArray(DType::F16, {0}, 1), 0, true);
  SortAndExpect(RandomArray(DType::F16, {0, 5}, 1), 3, true);
}

TEST(TopKTest, TakesNaNForTheGreatestAndZerosForEqual) {
  for (DType dtype : {DType::F16, DType::F32}) {
    const TestArray x = ArrayOf(
        dtype, {10}, {0, -0.0, kNaN, kInf, -kInf, -1, 1, -kNaN, 0, -0.0});
    SortAndExpect(x, 10, true);
    SortAndExpect(x, 10, false);
    const TestArray index = Poisoned(DType::I32, {10});
    Call(TopK, {x}, {index}, {10, 1, 1});
    ExpectClose(index, {2, 7, 3, 6, 0, 1, 8, 9, 5, 4}, 0);
  }
}

TEST(TopKTest, KeepsTheBitsOfTheValues) {
  const TestArray x = Poisoned(DType::F16, {3});
  const uint16_t bits[] = {0x7c01, 0x8000, 0x0000};
  std::memcpy(x.block.get(), bits, sizeof(bits));
  const TestArray result = Poisoned(DType::F16, {3});
  Call(TopK, {x}, {result}, {3, 1, 0});
  EXPECT_EQ(0, std::memcmp(result.block.get(), bits, sizeof(bits)));
}

TEST(TopKTest, GivesTheSameBitsOnAnyThreads) {
  const TestArray x = RandomArray(DType::F16, {100, 1000}, 1);
  const TestArray result = Poisoned(DType::I32, {100, 7});
  ExpectSameBitsOnAnyThreads(result, [&] {
    Call(TopK, {x}, {result}, {7, 1, 1});
  });
}

}  // namespace
}  // namespace tl::TL_KERNELS
