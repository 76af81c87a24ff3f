// Rows at the edges of what goes through a ring of rows, as many as make each
// block go round it. On a small card the same lengths take the other ways, too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernel_tests/kernel_test.h"

namespace tl::TL_KERNELS {
namespace {

using Row = std::vector<double>;

struct RingCase {
  DType dtype;
  int64_t count;
  int64_t offset = 0;  // of the first row, in elements
};

// Rows of more than 16 KB, or 32 for rms_norm, and 64 at most; whole packs of
// 16 bytes, in line.
const RingCase kRingCases[] = {
    {DType::F16, 32768},    {DType::F16, 32760},    {DType::F16, 32776},
    {DType::F16, 8192},     {DType::F16, 8200},     {DType::F16, 16392},
    {DType::F32, 16384},    {DType::F32, 16380},    {DType::F32, 16388},
    {DType::F16, 32768, 1}, {DType::F32, 16384, 1},
};

int64_t ManyRows(const RingCase& c) {
  const int64_t bytes = c.count * ElementBytes(c.dtype);
  return (3 * Card().multiprocessors + 1) * std::max<int64_t>(1, 64000 / bytes);
}

TestArray RowsOf(const RingCase& c) {
  const int64_t rows = ManyRows(c);
  TestArray x = RandomArray(c.dtype, {rows * c.count + c.offset}, 1, -4, 4);
  x.dims = {rows, c.count};
  x.strides = {c.count, 1};
  x.offset = c.offset;
  return x;
}

// f(row, what it is to become) for rows of x, among them the first and last.
template <class Reference>
void ExpectRows(const TestArray& x, const TestArray& y, double steps,
                Reference reference) {
  const int64_t count = x.dims[1], rows = x.dims[0];
  for (int64_t r : {int64_t{0}, int64_t{1}, rows / 2, rows - 2, rows - 1}) {
    Row row(count), got(count);
    for (int64_t i = 0; i < count; ++i) {
      row[i] = x.Get(r * count + i);
      got[i] = y.Get(r * count + i);
    }
    reference(row);
    ExpectClose(ArrayOf(y.dtype, {count}, got), row, steps);
  }
}

void SoftmaxOf(Row& row, bool log) {
  const double top = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double v : row) sum += std::exp(v - top);
  for (double& v : row) {
    v = log ? v - top - std::log(sum) : std::exp(v - top) / sum;
  }
}

void ExpectSoftmax(const TestArray& x, DType to) {
  const TestArray y = Poisoned(to, x.dims);
  const double steps = to == DType::F16 ? 2 : 48;
  Call(Softmax, {x}, {y});
  ExpectRows(x, y, steps, [](Row& row) { SoftmaxOf(row, false); });
  Call(LogSoftmax, {x}, {y});
  ExpectRows(x, y, steps, [](Row& row) { SoftmaxOf(row, true); });
}

TEST(RowRing, GivesSoftmaxAndItsLogarithm) {
  for (const RingCase& c : kRingCases) {
    SCOPED_TRACE(c.count);
    ExpectSoftmax(RowsOf(c), c.dtype);
  }
}

TEST(RowRing, KeepsTheDigitsOfALogarithmNearZero) {
  const RingCase c = {DType::F16, 32768};
  const TestArray x = RowsOf(c);
  for (int64_t i = 0; i < c.count; ++i) x.Set(c.count + i, i == 77 ? 9 : -9);
  ExpectSoftmax(x, DType::F32);
}

void NormOf(Row& row, bool around_mean, const Row& weight, const Row& bias) {
  double mean = 0, squares = 0;
  const auto count = static_cast<double>(row.size());
  for (double v : row) mean += around_mean ? v / count : 0;
  for (double v : row) squares += (v - mean) * (v - mean);
  for (size_t i = 0; i < row.size(); ++i) {
    row[i] = (row[i] - mean) / std::sqrt(squares / count + 1e-5);
    row[i] = row[i] * (weight.empty() ? 1 : weight[i]) +
             (bias.empty() ? 0 : bias[i]);
  }
}

// Columns of the rows' type are kept for all rows, of another they are not. The
// bias keeps results from 0, where a step of what they are made of shows.
TEST(RowRing, GivesNorms) {
  for (const RingCase& c : kRingCases) {
    SCOPED_TRACE(c.count);
    const double steps = c.dtype == DType::F16 ? 2 : 3;
    const TestArray x = RowsOf(c);
    const TestArray y = Poisoned(c.dtype, x.dims);
    const TestArray weight = RandomArray(c.dtype, {c.count}, 2, 0.5, 1);
    for (DType dtype : {DType::F16, DType::F32}) {
      const TestArray bias = RandomArray(dtype, {c.count}, 3, 9, 10);
      Call(LayerNorm, {x, weight, bias}, {y}, {1, 3}, {1e-5});
      ExpectRows(x, y, steps, [&](Row& row) {
        NormOf(row, true, weight.Values(), bias.Values());
      });
    }
    Call(RmsNorm, {x, weight}, {y}, {}, {1e-5});
    ExpectRows(x, y, steps,
               [&](Row& row) { NormOf(row, false, weight.Values(), {}); });
  }
}

TEST(RowRing, AddsABiasAlone) {
  const TestArray x = RowsOf({DType::F16, 32768});
  const TestArray y = Poisoned(DType::F16, x.dims);
  const TestArray bias = RandomArray(DType::F16, {32768}, 3, 9, 10);
  Call(LayerNorm, {x, bias}, {y}, {1, 2}, {1e-5});
  ExpectRows(x, y, 2, [&](Row& row) { NormOf(row, true, {}, bias.Values()); });
}

TEST(RowRing, MayWriteOverItsRows) {
  const TestArray x = RowsOf({DType::F16, 32768});
  const TestArray y = Poisoned(DType::F16, x.dims);
  Call(Softmax, {x}, {y});
  Call(Softmax, {x}, {x});
  for (int64_t i = 0; i < ElementCount(x.dims); ++i) {
    ASSERT_EQ(x.Get(i), y.Get(i)) << i;
  }
}

}  // namespace
}  // namespace tl::TL_KERNELS
