#include "exec/matmul_problem.h"

#include "base/error.h"

namespace tl {
namespace {

bool IsFloat(DType dtype) { return dtype == DType::F16 || dtype == DType::F32; }

Matrix MatrixOf(const View& view) {
  return {view.data, view.dtype, view.strides[view.rank - 2],
          view.strides[view.rank - 1]};
}

// Takes the last batch axis into M where every product has the same weights
// and the rows of x go on at the same distance.
bool FoldLastAxis(MatmulProblem* problem) {
  if (problem->batch_rank == 0) return false;
  const int axis = problem->batch_rank - 1;
  const int64_t dim = problem->batch_dims[axis];
  const int64_t stride = problem->x_batch_strides[axis];
  const bool shares_weights = dim == 1 || problem->w_batch_strides[axis] == 0;
  const bool rows_go_on = dim == 1 || problem->m == 1 ||
                          stride == problem->m * problem->x.row_stride;
  if (!shares_weights || !rows_go_on) return false;
  if (problem->m == 1 && dim > 1) problem->x.row_stride = stride;
  problem->m *= dim;
  problem->batch_rank = axis;
  return true;
}

Matrix Shifted(Matrix matrix, const MatmulProblem& problem,
               const int64_t* strides, int64_t index) {
  int64_t offset = 0;
  for (int axis = problem.batch_rank - 1; axis >= 0; --axis) {
    offset += index % problem.batch_dims[axis] * strides[axis];
    index /= problem.batch_dims[axis];
  }
  matrix.data += BlockBytes(matrix.dtype, offset);
  return matrix;
}

}  // namespace

Matrix MatmulProblem::XOf(int64_t index) const {
  return Shifted(x, *this, x_batch_strides, index);
}

Matrix MatmulProblem::WOf(int64_t index) const {
  return Shifted(w, *this, w_batch_strides, index);
}

MatmulProblem MatmulProblemOf(const View& x, const View& w) {
  TL_CHECK(x.rank >= 2 && x.rank == w.rank);
  const int rank = x.rank;
  TL_CHECK(IsFloat(x.dtype));
  TL_CHECK(IsFloat(w.dtype) ||
           (IsPacked(w.dtype) && w.strides[rank - 2] == 1));
  MatmulProblem problem{};
  problem.m = x.dims[rank - 2];
  problem.k = x.dims[rank - 1];
  problem.n = w.dims[rank - 1];
  TL_CHECK(problem.k == w.dims[rank - 2]);
  problem.x = MatrixOf(x);
  problem.w = MatrixOf(w);
  problem.batch_rank = rank - 2;
  for (int axis = 0; axis < rank - 2; ++axis) {
    TL_CHECK(x.dims[axis] == w.dims[axis]);
    problem.batch_dims[axis] = x.dims[axis];
    problem.x_batch_strides[axis] = x.strides[axis];
    problem.w_batch_strides[axis] = w.strides[axis];
  }
  while (FoldLastAxis(&problem)) {
  }
  problem.batch = 1;
  for (int axis = 0; axis < problem.batch_rank; ++axis) {
    problem.batch *= problem.batch_dims[axis];
  }
  return problem;
}

}  // namespace tl
