#include "exec/plan.h"

namespace tl {

int64_t Operand::size() const {
  int64_t n = 1;
  for (int axis = 0; axis < rank; ++axis) n *= dims[axis];
  return n;
}

bool Operand::dense() const {
  int64_t expected = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    if (dims[axis] != 1 && strides[axis] != expected) return false;
    expected *= dims[axis];
  }
  return true;
}

}  // namespace tl
