// How the tests of src/kernel_tests/ run this backend's kernels: on copies of
// their arrays in the card's memory.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "cuda/cublaslt.h"
#include "cuda/decode_counts.h"
#include "cuda/fault.h"
#include "cuda/kernels.h"
#include "cuda/runtime.h"
#include "kernel_tests/test_array.h"

namespace tl::cuda {

using Kernel = void (*)(const KernelArgs&);

// Arrays that share a block share its copy.
class TestMemory {
 public:
  View Place(const TestArray& array) {
    std::shared_ptr<std::byte>& copy = copies_[array.block.get()];
    if (copy == nullptr) {
      copy = Allocate(array.block_bytes + kGuardBytes);
      CopyToDevice(copy.get(), array.block.get(),
                   array.block_bytes + kGuardBytes);
    }
    return array.AsViewOf(copy.get());
  }
  void CopyBack(const TestArray& array) const {
    CopyFromDevice(array.block.get(), copies_.at(array.block.get()).get(),
                   array.block_bytes + kGuardBytes);
  }

 private:
  std::map<const std::byte*, std::shared_ptr<std::byte>> copies_;
};

// What was written is seen even if the kernel fails.
inline void RunKernel(Kernel kernel, const std::vector<TestArray>& inputs,
                      const std::vector<TestArray>& outputs, KernelArgs args) {
  TestMemory memory;
  std::vector<View> in, out;
  for (const TestArray& array : inputs) in.push_back(memory.Place(array));
  for (const TestArray& array : outputs) out.push_back(memory.Place(array));
  args.inputs = in;
  args.outputs = out;
  const auto copy_back = [&] {
    for (const TestArray& array : outputs) memory.CopyBack(array);
  };
  try {
    kernel(args);
    RaiseFaults();
    ReadCounts();
    Synchronize();
  } catch (...) {
    copy_back();
    throw;
  }
  copy_back();
}

// Runs f with the products of cuBLASLt, where there is one, and with our own.
template <class F>
void ForEachTarget(F f) {
  for (bool library : {true, false}) {
    if (library && !WhyNoCublasLt().empty()) continue;
    SCOPED_TRACE(library ? "with cuBLASLt" : "without cuBLASLt");
    UseCublasLt(library);
    f();
    UseCublasLt(true);
  }
}

// Threads are the card's own here: bits are the same from one run to the next. The
// emulator's take the same turns each time, so that once is enough.
#ifdef TL_CUDA_EMULATED
inline constexpr int kThreadCounts[] = {1};
#else
inline constexpr int kThreadCounts[] = {1, 1};
#endif

}  // namespace tl::cuda
