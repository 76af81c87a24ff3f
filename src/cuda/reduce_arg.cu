// Where the largest or smallest element is: the first of equals, and the first
// NaN before everything else.
#include "cuda/kernels.h"
#include "cuda/reduce.cuh"
#include "cuda/sort_key.cuh"

namespace tl::cuda {
namespace {

// An element and its place are one number: the larger, the better the element,
// and of equals the one that comes first.
template <bool largest>
struct ArgOp {
  using Part = unsigned long long;
  using Total = unsigned long long;
  static constexpr bool kIntsOnly = false;

  TL_DEVICE static Part Start() { return 0; }
  template <class T>
  TL_DEVICE static Part Add(Part best, T x, int64_t row, float) {
    uint32_t key = SortKey(x);
    if (!largest && !IsNaN(x)) key = ~key;
    return Join(best, Part{key} << 32 | ~static_cast<uint32_t>(row));
  }
  TL_DEVICE static Total Join(Total a, Total b) { return a > b ? a : b; }
  TL_DEVICE static void Store(Total best, int32_t* result, int64_t at) {
    result[at] = static_cast<int32_t>(~static_cast<uint32_t>(best));
  }
};

template <bool largest>
void FindAll(const KernelArgs& args) {
  const View& x = args.inputs[0];
  const ReduceShape shape = ReduceShapeOf(x, args.ints[0], args.ints[1]);
  TL_CHECK(shape.reduced > 0);
  Reduce<ArgOp<largest>>(x, shape, nullptr, args.outputs[0].as<int32_t>());
}

}  // namespace

void Argmax(const KernelArgs& args) { FindAll<true>(args); }
void Argmin(const KernelArgs& args) { FindAll<false>(args); }

}  // namespace tl::cuda
