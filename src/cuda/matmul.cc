// Matrix products: which way. Few rows are bound by reading the weights
// (few_rows.h); other products are of dense matrices (dense_product.h), for which
// packed weights are decoded and operands that lie otherwise are copied.
#include <algorithm>
#include <vector>

#include "cuda/dense_product.h"
#include "cuda/epilogue.h"
#include "cuda/few_rows.h"
#include "cuda/kernels.h"
#include "cuda/decode_rows.h"
#include "cuda/runtime.h"
#include "cuda/strided_copy.h"
#include "exec/matmul_problem.h"

namespace tl::cuda {
namespace {

// The type that both operands are multiplied in.
DType CommonType(const MatmulProblem& p) {
  const bool half = p.x.dtype == DType::F16 && p.w.dtype == DType::F16;
  return half ? DType::F16 : DType::F32;
}

// [rows, columns] with the batch axes of the problem.
struct BatchedMatrix {
  Matrix* matrix;
  int64_t rows, columns;
  int64_t* batch_strides;
};

// Whether DenseMatrix says it: the strides of an axis of one element do not
// count.
bool IsDense(const BatchedMatrix& of) {
  const Matrix& m = *of.matrix;
  const auto along = [](int64_t inner, int64_t inner_stride, int64_t outer,
                        int64_t outer_stride) {
    return (inner == 1 || inner_stride == 1) &&
           (outer == 1 || outer_stride >= inner);
  };
  return along(of.columns, m.col_stride, of.rows, m.row_stride) ||
         along(of.rows, m.row_stride, of.columns, m.col_stride);
}

DenseMatrix DenseOf(const BatchedMatrix& of, const std::byte* data,
                    int64_t batch_stride) {
  const Matrix& m = *of.matrix;
  const bool plain = (of.columns == 1 || m.col_stride == 1) &&
                     (of.rows == 1 || m.row_stride >= of.columns);
  if (plain) {
    return {data, of.rows == 1 ? of.columns : m.row_stride, batch_stride, false};
  }
  return {data, of.columns == 1 ? of.rows : m.col_stride, batch_stride, true};
}

class Product {
 public:
  explicit Product(const KernelArgs& args)
      : epilogue_(args),
        p_(MatmulProblemOf(epilogue_.operands()[0], epilogue_.operands()[1])),
        dtype_(args.dtype),
        out_(args.outputs[0]),
        exact_(args.ints.size() > 1 && args.ints[1] == 1) {}

  void Run() {
    if (p_.m == 0 || p_.n == 0 || p_.batch == 0) return;
    if (p_.k == 0) {
      Fill(epilogue_.aside(), 0,
           p_.batch * p_.m * p_.n * ElementBytes(dtype_));
      return epilogue_.Run();
    }
    if (IsPacked(p_.w.dtype)) return MultiplyPacked();
    // A matrix times a vector: the vector times the transposed matrix.
    if (p_.n == 1 && p_.m > kFewRows) Transpose();
    const bool reads_weights = p_.w.row_stride == 1 || p_.k == 1;
    if (p_.m <= kFewRows && reads_weights) return MultiplyFew();
    MultiplyMany();
  }

 private:
  // The result is the same elements in the same order.
  void Transpose() {
    std::swap(p_.x, p_.w);
    p_.x = p_.x.Transposed();
    p_.w = p_.w.Transposed();
    std::swap(p_.m, p_.n);
    std::swap(p_.x_batch_strides, p_.w_batch_strides);
  }

  BatchedMatrix X() { return {&p_.x, p_.m, p_.k, p_.x_batch_strides}; }
  BatchedMatrix W() { return {&p_.w, p_.k, p_.n, p_.w_batch_strides}; }

  // Row-major elements of `dtype` in place of an operand; what batches share is
  // copied once.
  void Copy(const BatchedMatrix& of, DType dtype) {
    View view = {};
    view.data = const_cast<std::byte*>(of.matrix->data);
    view.dtype = of.matrix->dtype;
    view.rank = p_.batch_rank + 2;
    for (int axis = 0; axis < p_.batch_rank; ++axis) {
      view.dims[axis] = of.batch_strides[axis] == 0 ? 1 : p_.batch_dims[axis];
      view.strides[axis] = of.batch_strides[axis];
    }
    view.dims[view.rank - 2] = of.rows;
    view.dims[view.rank - 1] = of.columns;
    view.strides[view.rank - 2] = of.matrix->row_stride;
    view.strides[view.rank - 1] = of.matrix->col_stride;
    scratch_.push_back(Allocate(view.size() * ElementBytes(dtype)));
    const View copy = DenseView(view, dtype, scratch_.back().get());
    if (dtype == view.dtype) {
      CopyStrided(view, copy.data);
    } else {
      Convert(view, copy);
    }
    *of.matrix = {copy.data, dtype, of.columns, 1};
    for (int axis = 0; axis < p_.batch_rank; ++axis) {
      if (of.batch_strides[axis] != 0) {
        of.batch_strides[axis] = copy.strides[axis];
      }
    }
  }

  // f(run) for the products of the batch: the last axes that go on evenly are
  // one run.
  template <class F>
  void ForEachRun(F f) const {
    int first = p_.batch_rank;  // axes first .. are in a run
    int64_t count = 1, x_stride = 0, w_stride = 0;
    while (first > 0) {
      const int64_t dim = p_.batch_dims[first - 1];
      const int64_t x = p_.x_batch_strides[first - 1];
      const int64_t w = p_.w_batch_strides[first - 1];
      const bool goes_on = dim == 1 || count == 1 ||
                           (x == x_stride * count && w == w_stride * count);
      if (!goes_on) break;
      if (count == 1 && dim > 1) x_stride = x, w_stride = w;
      count *= dim;
      --first;
    }
    for (int64_t at = 0; at < p_.batch; at += count) {
      f(BatchRun{at, count, p_.XOf(at).data, p_.WOf(at).data, x_stride,
                 w_stride});
    }
  }

  FewRowsResult Result() {
    const ElementwiseGroup* group = epilogue_.group();
    return {dtype_, group == nullptr ? out_.data : nullptr, group};
  }

  void MultiplyFew() {
    if (p_.x.col_stride != 1 && p_.k > 1) Copy(X(), p_.x.dtype);
    const FewRowsResult result = Result();
    ForEachRun([&](const BatchRun& run) { MultiplyFewRows(p_, run, result); });
  }

  void MultiplyPacked() {
    if (p_.m <= kFewRows) {
      const FewRowsResult result = Result();
      ForEachRun([&](const BatchRun& run) {
        MultiplyFewPackedRows(p_, run, exact_, result);
      });
      return;
    }
    // In f16 where x is: the weights are rounded, not x.
    const DType dtype = exact_ ? DType::F32 : p_.x.dtype;
    if (p_.x.dtype != dtype || !IsDense(X())) Copy(X(), dtype);
    std::byte* y = Target(dtype);
    for (int64_t at = 0; at < p_.batch; ++at) {
      MultiplyDecoded(dtype, p_.XOf(at).data, p_.WOf(at).data,
                      y + at * p_.m * p_.n * ElementBytes(computed_));
    }
    Deliver(y);
  }

  // One product, a stretch of the weights' rows after the other.
  void MultiplyDecoded(DType dtype, const std::byte* x, const std::byte* w,
                       std::byte* y) {
    constexpr int64_t kMostBytes = int64_t{256} << 20;
    const int64_t row_bytes = BlockBytes(p_.w.dtype, p_.w.col_stride);
    const int64_t decoded_row = p_.k * ElementBytes(dtype);
    const int64_t most = std::max<int64_t>(kMostBytes / decoded_row / 128, 1) * 128;
    const int64_t rows = std::min(most, p_.n);
    const auto decoded = Allocate(rows * decoded_row);
    for (int64_t at = 0; at < p_.n; at += rows) {
      const int64_t some = std::min(rows, p_.n - at);
      DecodePackedRows(p_.w.dtype, w + at * row_bytes, row_bytes, some, p_.k,
                       dtype, decoded.get());
      MultiplyDense({dtype, computed_, 1, p_.m, p_.k, some, DenseOf(X(), x, 0),
             {decoded.get(), p_.k, 0, true},
             y + at * ElementBytes(computed_), p_.n, 0, nullptr});
    }
  }

  void MultiplyMany() {
    const DType dtype = CommonType(p_);
    if (p_.x.dtype != dtype || !IsDense(X())) Copy(X(), dtype);
    if (p_.w.dtype != dtype || !IsDense(W())) Copy(W(), dtype);
    if (epilogue_.bias() != nullptr && MultiplyWithBias(dtype)) return;
    std::byte* y = Target(dtype);
    ForEachRun([&](const BatchRun& run) {
      MultiplyDense(ProductOf(run, dtype, computed_, y));
    });
    Deliver(y);
  }

  DenseProduct ProductOf(const BatchRun& run, DType in, DType out,
                         std::byte* y) {
    return {in, out, run.count, p_.m, p_.k, p_.n,
            DenseOf(X(), run.x, run.x_stride), DenseOf(W(), run.w, run.w_stride),
            y + run.first * p_.m * p_.n * ElementBytes(out), p_.n, p_.m * p_.n,
            nullptr};
  }

  bool MultiplyWithBias(DType dtype) {
    if (p_.n != out_.dims[out_.rank - 1]) return false;  // transposed
    if (dtype == DType::F32 && out_.dtype != DType::F32) return false;
    bool done = true;
    ForEachRun([&](const BatchRun& run) {
      DenseProduct product = ProductOf(run, dtype, out_.dtype, out_.data);
      product.bias = epilogue_.bias();
      done = done && MultiplyWithCublasLt(product);
    });
    return done;
  }

  // Where products of operands of type `in` go: f32 has none in f16, those are
  // rounded by Deliver.
  std::byte* Target(DType in) {
    if (in == DType::F16 || dtype_ == DType::F32) {
      computed_ = dtype_;
      return epilogue_.aside();
    }
    computed_ = DType::F32;
    scratch_.push_back(Allocate(out_.size() * ElementBytes(computed_)));
    return scratch_.back().get();
  }
  void Deliver(std::byte* computed) {
    if (computed_ != dtype_) {
      Convert(DenseView(out_, computed_, computed),
              DenseView(out_, dtype_, epilogue_.aside()));
    }
    epilogue_.Run();
  }

  Epilogue epilogue_;
  MatmulProblem p_;
  DType dtype_;
  DType computed_ = DType::F32;  // what Target's results are
  const View& out_;
  bool exact_;
  std::vector<std::shared_ptr<std::byte>> scratch_;
};

}  // namespace

void MultiplyDense(const DenseProduct& product) {
  if (MultiplyWithCublasLt(product)) return;
  if (product.in == DType::F16) {
    MultiplyHalf(product);
  } else {
    MultiplyFloat(product);
  }
}

void Matmul(const KernelArgs& args) { Product(args).Run(); }

}  // namespace tl::cuda
