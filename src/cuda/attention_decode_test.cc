// The parts of an attention that a kernel of several steps calls; what they
// compute is asked of Attention itself in kernel_tests/attention_test.cc.
#ifdef TL_CUDA_EMULATED

#include "cuda/attention_decode.cuh"

#include <gtest/gtest.h>

#include <memory>

#include "cuda/kernel_test_target.h"
#include "cuda/launch.h"

namespace tl::cuda {
namespace {

template <int kThreads>
void PartKernel(const DecodeAttention& decode) {
  DecodeAttentionPart<DecodeShape<64, 8, kThreads>>(
      decode, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x),
      DynamicShared());
}

void CombineKernel(const DecodeAttention& decode) {
  DecodeAttentionCombine(decode, static_cast<int>(blockIdx.x),
                         static_cast<int>(gridDim.x),
                         static_cast<int>(blockDim.x));
}

// In two steps, each by so many blocks of so many threads.
template <unsigned blocks, unsigned threads>
void RunInSteps(const KernelArgs& args) {
  constexpr int kFewestKeys = 128;
  DecodeAttention decode = DecodeAttentionOf(
      AttentionProblemOf(args), Card().multiprocessors, kFewestKeys);
  ASSERT_EQ(decode.dims, 64);
  ASSERT_EQ(decode.tile_rows, 8);
  ASSERT_GT(decode.splits, 1);
  const std::shared_ptr<std::byte> parts = Allocate(DecodePartBytes(decode));
  SetDecodeParts(parts.get(), decode);
  const int shared_bytes = DecodeSharedBytes(decode, static_cast<int>(threads));
  Launch(PartKernel<threads>, {{blocks}, {threads}, shared_bytes}, decode);
  Launch(CombineKernel, {{blocks}, {threads}}, decode);
}

KernelArgs ArgsOf(std::span<const int64_t> ints,
                  std::span<const double> numbers) {
  KernelArgs args;
  args.ints = ints;
  args.numbers = numbers;
  args.dtype = DType::F32;
  return args;
}

TEST(AttentionDecodeTest, PartsThatABlockTakesInTurnGiveTheSameBits) {
  const TestArray q = RandomArray(DType::F16, {2, 4, 64}, 1);
  const TestArray k = RandomArray(DType::F16, {700, 2, 64}, 2);
  const TestArray v = RandomArray(DType::F16, {700, 2, 64}, 3);
  const int64_t ints[] = {1, 0, 0};
  const double numbers[] = {0.125, 0, 650};
  const KernelArgs args = ArgsOf(ints, numbers);
  const TestArray want = Poisoned(DType::F32, {2, 4, 64});
  RunKernel(Attention, {q, k, v}, {want}, args);
  for (const Kernel kernel :
       {RunInSteps<1, 256>, RunInSteps<3, 256>, RunInSteps<7, 256>}) {
    const TestArray got = Poisoned(DType::F32, {2, 4, 64});
    RunKernel(kernel, {q, k, v}, {got}, args);
    EXPECT_EQ(got.Values(), want.Values());
  }
}

TEST(AttentionDecodeTest, BlocksMayHaveMoreThreadsThanBuffers) {
  const TestArray q = RandomArray(DType::F16, {1, 4, 64}, 1);
  const TestArray k = RandomArray(DType::F16, {900, 1, 64}, 2);
  const TestArray v = RandomArray(DType::F16, {900, 1, 64}, 3);
  const int64_t ints[] = {1, 0, 0};
  const double numbers[] = {0.125, 0, 0};
  const KernelArgs args = ArgsOf(ints, numbers);
  const TestArray want = Poisoned(DType::F32, {1, 4, 64});
  RunKernel(Attention, {q, k, v}, {want}, args);
  for (const Kernel kernel : {RunInSteps<4, 512>, RunInSteps<4, 384>}) {
    const TestArray got = Poisoned(DType::F32, {1, 4, 64});
    RunKernel(kernel, {q, k, v}, {got}, args);
    for (int64_t i = 0; i < 4 * 64; ++i) {
      ASSERT_NEAR(got.Get(i), want.Get(i), 1e-6) << "element " << i;
    }
  }
}

}  // namespace
}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
