#include "interp/merge_lora.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "format/quantize.h"
#include "interp/tensor_runtime.h"
#include "ops/build.h"

namespace tl {
namespace {

// Elements of a weight that are in memory as float32 at a time, in three
// tensors of a run.
constexpr int64_t kElementsAtOnce = int64_t{8} << 20;
constexpr int64_t kElementsOfChunk = 1 << 15;

// Bytes in a file may lie anywhere; kernels want floats on their boundaries.
bool IsFloat32(const Tensor& tensor) {
  return tensor.dtype == DType::F32 &&
         reinterpret_cast<uintptr_t>(tensor.data.get()) % sizeof(float) == 0;
}

// A weight as matrices, one below the other: that of each expert, or one.
struct Matrices {
  explicit Matrices(const TensorEntry& weight) {
    const std::vector<int64_t>& shape = weight.shape;
    columns = shape.empty() ? 1 : shape.back();
    if (shape.size() == 3) count = shape[0];
    const int64_t whole = count * columns;
    rows = whole == 0 ? 0 : weight.elements / whole;
  }
  int64_t count = 1;
  int64_t rows = 0;
  int64_t columns = 0;
};

class Merger {
 public:
  Merger(TensorRuntime& runtime, const TensorEntry& weight,
         const AdapterChange& change, DType dtype)
      : lo_(runtime.builder()),
        runtime_(runtime),
        change_(change),
        base_(change.whole ? change.whole->Made() : weight.Fetched()),
        of_(weight) {
    result_ = weight;
    result_.file = nullptr;
    result_.deferred = nullptr;
    result_.encoding.clear();
    result_.dtype = dtype;
    result_.bytes = BytesOf(dtype, weight.elements);
    result_.data = AllocateHost(result_.bytes);
    if (change.left) left_ = change.left->Made();
    if (change.right) right_ = change.right->Made();
    if (change.magnitude) magnitude_ = change.magnitude->Made();
  }

  TensorEntry Run() {
    const int64_t at_once = std::max<int64_t>(
        1, kElementsAtOnce / std::max<int64_t>(of_.columns, 1));
    for (int64_t matrix = 0; matrix < of_.count; ++matrix) {
      if (change_.right) {
        factor_ = Values(*right_, matrix * RowsOf(*right_), RowsOf(*right_));
      }
      for (int64_t row = 0; row < of_.rows; row += at_once) {
        Store(matrix * of_.rows + row, std::min(at_once, of_.rows - row));
      }
      factor_ = {};
    }
    for (const auto* matrix :
         {&change_.whole, &change_.left, &change_.right, &change_.magnitude}) {
      if (!*matrix || !(*matrix)->entry.file) continue;
      (*matrix)->entry.file->CheckIntact();
    }
    if (base_.file) base_.file->CheckIntact();
    if (unfit_ > 0) FailUnfit();
    return std::move(result_);
  }

 private:
  static int64_t RowsOf(const TensorEntry& entry) {
    return entry.shape[entry.shape.size() - 2];
  }

  // Some of the rows of a tensor, seen as one matrix, in float32.
  TensorRef Values(const TensorEntry& entry, int64_t row, int64_t rows) {
    const int64_t columns = entry.shape.empty() ? 1 : entry.shape.back();
    Tensor part{*entry.dtype, Device::kCpu, Shape{rows, columns},
                std::shared_ptr<std::byte>(
                    entry.data,
                    entry.data.get() + BytesOf(*entry.dtype, row * columns))};
    part.mapped = entry.file != nullptr;
    const bool ready = IsFloat32(part);
    const TensorRef leaf(lo_.Leaf(std::move(part)));
    if (ready) return leaf;
    return lo_.Lowering::Apply(OpId::Decode, {leaf},
                               {{int64_t(DType::F32)}, {}});
  }

  // Some elements of a vector, one below the other.
  TensorRef Column(const TensorEntry& entry, int64_t row, int64_t rows) {
    const TensorRef all = Values(entry, 0, 1);
    return Reshape(lo_, Slice(lo_, all, 1, row, rows), Shape{rows, 1});
  }

  TensorRef Sum(int64_t row, int64_t rows) {
    TensorRef sum = Values(base_, row, rows);
    if (left_) {
      TensorRef delta = Values(*left_, row, rows);
      if (change_.right) delta = MatrixProduct(lo_, delta, factor_);
      delta = WithNumber(lo_, OpId::Mul, delta, change_.scale);
      sum = Binary(lo_, OpId::Add, sum, delta);
    }
    if (!magnitude_) return sum;
    const TensorRef squares = Reduce(lo_, OpId::SumSquares, sum, {1});
    const TensorRef lengths =
        Reshape(lo_, Unary(lo_, OpId::Sqrt, squares), Shape{rows, 1});
    return Binary(
        lo_, OpId::Mul, sum,
        Binary(lo_, OpId::Div, Column(*magnitude_, row, rows), lengths));
  }

  void Store(int64_t row, int64_t rows) {
    const TensorRef sum = Sum(row, rows);
    const Tensor& tensor = runtime_.Evaluate(sum);
    const int64_t begin = row * of_.columns;
    const DType dtype = *result_.dtype;
    const float limit = MaxMagnitude(dtype);
    ParallelFor(tensor.size(), kElementsOfChunk, [&](int64_t from, int64_t to) {
      const std::span values(tensor.as<float>() + from, to - from);
      const int64_t unfit = std::ranges::count_if(
          values, [limit](float x) { return !(std::fabs(x) <= limit); });
      if (unfit > 0) {
        unfit_ += unfit;
        return;
      }
      Quantize(dtype, values,
               {result_.data.get() + BytesOf(dtype, begin + from),
                static_cast<size_t>(BytesOf(dtype, to - from))});
    });
  }

  [[noreturn]] void FailUnfit() const {
    Fail(ErrorKind::kInput,
         "tensor {}: merged, {} of {} values are NaN or beyond {}, the most "
         "that {} holds",
         QuoteName(change_.name), unfit_.load(), result_.elements,
         MaxMagnitude(*result_.dtype), Info(*result_.dtype).name);
  }

  Builder& lo_;
  TensorRuntime& runtime_;
  const AdapterChange& change_;
  const TensorEntry base_;
  const Matrices of_;
  TensorEntry result_;
  std::optional<TensorEntry> left_, right_, magnitude_;
  TensorRef factor_;  // the right one, of the matrix at hand
  std::atomic<int64_t> unfit_ = 0;
};

}  // namespace

TensorEntry Merged(TensorRuntime& runtime, const TensorEntry& weight,
                   const AdapterChange& change, DType otherwise) {
  const bool kept = weight.dtype == DType::F32 || weight.dtype == DType::F16 ||
                    weight.dtype == DType::BF16;
  return Merger(runtime, weight, change, kept ? *weight.dtype : otherwise)
      .Run();
}

}  // namespace tl
