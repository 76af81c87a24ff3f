// Reductions to float. Stretches are summed in f32 lanes (reduce_loops.cc),
// stretches are put together in double, and the result is rounded once. int32
// to int32 is in reduce_int.cc, argmax in reduce_arg.cc.
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/reduce_cut.h"
#include "cpu/reduce_int.h"

namespace tl::cpu {
namespace {

// Columns are summed in f32 for this many rows, then in double.
constexpr int64_t kRowsPerSum = 128;

// Results held as doubles at a time.
constexpr int64_t kBatchResults = 64 << 10;

constexpr int64_t kStoreGrain = 8 << 10;

enum class Pass { kSum, kSquares, kLargest, kSmallest, kProduct };

double Start(Pass pass) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  switch (pass) {
    case Pass::kSum:
    case Pass::kSquares:
      return 0;
    case Pass::kLargest:
      return -kInfinity;
    case Pass::kSmallest:
      return kInfinity;
    case Pass::kProduct:
      return 1;
  }
  return 0;
}

double Join(Pass pass, double a, double b) {
  switch (pass) {
    case Pass::kSum:
    case Pass::kSquares:
      return a + b;
    case Pass::kLargest:
      return std::isnan(a) || a > b ? a : b;
    case Pass::kSmallest:
      return std::isnan(a) || a < b ? a : b;
    case Pass::kProduct:
      return a * b;
  }
  return a;
}

double ValueAt(const View& x, int64_t i) {
  if (x.dtype == DType::F16) return HalfToFloat(x.as<uint16_t>()[i]);
  if (x.dtype == DType::F32) return x.as<float>()[i];
  return x.as<int32_t>()[i];
}

// One pass over an input, a batch of tasks at a time.
class Reducer {
 public:
  Reducer(const View& x, const ReduceCut& cut)
      : x_(x), cut_(cut), loops_(GetReduceLoops()) {}

  // One double per column of tasks [first, last). Squares are taken around
  // `centers`, laid out as the results are.
  std::vector<double> Run(Pass pass, int64_t first, int64_t last,
                          const std::vector<double>& centers) const {
    const int64_t columns = cut_.columns, segments = cut_.segments;
    const int64_t units = (last - first) * segments;
    std::vector<double> partial(units * columns, Start(pass));
    ParallelFor(units, cut_.Grain(), [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t task = unit / segments;
        RunUnit(pass, cut_.UnitAt(first + task, unit % segments),
                centers.empty() ? nullptr : &centers[task * columns],
                &partial[unit * columns]);
      }
    });
    if (segments == 1) return partial;
    std::vector<double> results((last - first) * columns, Start(pass));
    for (int64_t unit = 0; unit < units; ++unit) {
      double* to = &results[unit / segments * columns];
      for (int64_t i = 0; i < columns; ++i) {
        to[i] = Join(pass, to[i], partial[unit * columns + i]);
      }
    }
    return results;
  }

 private:
  void RunUnit(Pass pass, const ReduceCut::Unit& unit, const double* centers,
               double* to) const {
    if (pass == Pass::kProduct) {
      Multiply(unit, to);
    } else if (cut_.inner == 1) {
      *to = RunStretch(pass, unit, centers);
    } else {
      for (int64_t row = 0; row < unit.rows; row += kRowsPerSum) {
        RunColumns(pass, unit, row, centers, to);
      }
    }
  }

  double RunStretch(Pass pass, const ReduceCut::Unit& unit,
                    const double* centers) const {
    const Stretch stretch = {
        x_.dtype, x_.data + unit.first * ElementBytes(x_.dtype), unit.rows};
    switch (pass) {
      case Pass::kSum:
        return loops_.sum(stretch);
      case Pass::kSquares:
        return loops_.squares(
            stretch, centers == nullptr ? 0 : static_cast<float>(*centers));
      case Pass::kLargest:
        return loops_.largest(stretch);
      case Pass::kSmallest:
        return loops_.smallest(stretch);
      case Pass::kProduct:
        break;
    }
    return 0;
  }

  void RunColumns(Pass pass, const ReduceCut::Unit& unit, int64_t row,
                  const double* centers, double* to) const {
    const Columns columns = {
        x_.dtype,
        x_.data + (unit.first + row * cut_.inner) * ElementBytes(x_.dtype),
        std::min(kRowsPerSum, unit.rows - row), cut_.inner, unit.columns};
    float sums[kMaxColumns];
    std::fill_n(sums, unit.columns, static_cast<float>(Start(pass)));
    float narrow[kMaxColumns] = {};
    for (int64_t i = 0; centers != nullptr && i < unit.columns; ++i) {
      narrow[i] = static_cast<float>(centers[i]);
    }
    switch (pass) {
      case Pass::kSum:
        loops_.add_columns(columns, sums);
        break;
      case Pass::kSquares:
        loops_.add_column_squares(columns, narrow, sums);
        break;
      case Pass::kLargest:
        loops_.raise_columns(columns, sums);
        break;
      case Pass::kSmallest:
        loops_.lower_columns(columns, sums);
        break;
      case Pass::kProduct:
        break;
    }
    for (int64_t i = 0; i < unit.columns; ++i) {
      to[i] = Join(pass, to[i], sums[i]);
    }
  }

  // In double: the product of a few f32 numbers may leave f32's range and come
  // back.
  void Multiply(const ReduceCut::Unit& unit, double* to) const {
    for (int64_t row = 0; row < unit.rows; ++row) {
      for (int64_t i = 0; i < unit.columns; ++i) {
        to[i] *= ValueAt(x_, unit.first + row * cut_.inner + i);
      }
    }
  }

  const View& x_;
  const ReduceCut& cut_;
  const ReduceLoops& loops_;
};

// Rounds the columns of tasks [first, last) to the output.
template <class F>
void StoreResults(const View& output, const ReduceCut& cut, int64_t first,
                  int64_t last, const std::vector<double>& results, F finish) {
  const int64_t grain = std::max<int64_t>(1, kStoreGrain / cut.columns);
  ParallelFor(last - first, grain, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t at = cut.ResultAt(first + task);
      const int64_t columns = cut.UnitAt(first + task, 0).columns;
      for (int64_t i = 0; i < columns; ++i) {
        const double value = finish(results[task * cut.columns + i]);
        if (output.dtype == DType::F16) {
          output.as<uint16_t>()[at + i] = DoubleToHalf(value);
        } else {
          output.as<float>()[at + i] = static_cast<float>(value);
        }
      }
    }
  });
}

// Calls run(first, last) for batches of tasks.
template <class F>
void ForBatches(const ReduceCut& cut, F run) {
  const int64_t batch = std::max<int64_t>(1, kBatchResults / cut.columns);
  for (int64_t first = 0; first < cut.tasks; first += batch) {
    run(first, std::min(cut.tasks, first + batch));
  }
}

template <class F>
void Reduce(const KernelArgs& args, Pass pass, F finish) {
  const View& x = args.inputs[0];
  const ReduceCut cut = ReduceCut::Of(x, args.ints[0], args.ints[1]);
  // Of no elements there is a sum, but no largest one.
  TL_CHECK(cut.reduced > 0 || std::isfinite(Start(pass)));
  const Reducer reducer(x, cut);
  ForBatches(cut, [&](int64_t first, int64_t last) {
    const std::vector<double> results = reducer.Run(pass, first, last, {});
    StoreResults(args.outputs[0], cut, first, last, results,
                 [&](double value) { return finish(value, cut.reduced); });
  });
}

double AsItIs(double value, int64_t) { return value; }

bool ToInt(const KernelArgs& args) {
  return args.outputs[0].dtype == DType::I32;
}

}  // namespace

void Sum(const KernelArgs& args) {
  if (ToInt(args)) return ReduceInt(args, IntReduction::kSum);
  Reduce(args, Pass::kSum, AsItIs);
}

void Mean(const KernelArgs& args) {
  Reduce(args, Pass::kSum,
         [](double sum, int64_t n) { return sum / static_cast<double>(n); });
}

void Prod(const KernelArgs& args) {
  if (ToInt(args)) return ReduceInt(args, IntReduction::kProduct);
  Reduce(args, Pass::kProduct, AsItIs);
}

void Max(const KernelArgs& args) {
  if (ToInt(args)) return ReduceInt(args, IntReduction::kLargest);
  Reduce(args, Pass::kLargest, AsItIs);
}

void Min(const KernelArgs& args) {
  if (ToInt(args)) return ReduceInt(args, IntReduction::kSmallest);
  Reduce(args, Pass::kSmallest, AsItIs);
}

void SumSquares(const KernelArgs& args) {
  if (ToInt(args)) return ReduceInt(args, IntReduction::kSumSquares);
  Reduce(args, Pass::kSquares, AsItIs);
}

void Norm(const KernelArgs& args) {
  Reduce(args, Pass::kSquares,
         [](double squares, int64_t) { return std::sqrt(squares); });
}

void Var(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const ReduceCut cut = ReduceCut::Of(x, args.ints[0], args.ints[1]);
  const double n = static_cast<double>(cut.reduced);
  const double divisor = std::max(0.0, n - args.numbers[0]);
  const Reducer reducer(x, cut);
  ForBatches(cut, [&](int64_t first, int64_t last) {
    std::vector<double> means = reducer.Run(Pass::kSum, first, last, {});
    for (double& mean : means) mean /= n;
    const std::vector<double> squares =
        reducer.Run(Pass::kSquares, first, last, means);
    StoreResults(args.outputs[0], cut, first, last, squares,
                 [&](double value) { return value / divisor; });
  });
}

}  // namespace tl::cpu
