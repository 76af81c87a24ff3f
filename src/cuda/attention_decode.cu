#include <algorithm>
#include <memory>

#include "cuda/attention_decode.cuh"
#include "cuda/dispatch.h"
#include "cuda/launch.h"

namespace tl::cuda {
namespace {

constexpr int kThreads = 256;
// Fewer keys to a split are not worth the join: 16 for each warp of a block.
constexpr int kFewestKeys = 128;

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    DecodeAttentionKernel(const __grid_constant__ DecodeAttention decode) {
  DecodeAttentionPart<Shape>(decode, static_cast<int>(blockIdx.x),
                             static_cast<int>(gridDim.x), DynamicShared());
}

int64_t ItemRows(const DecodeAttention& decode) {
  return DecodeTiles(decode) * decode.splits * decode.tile_rows;
}

int64_t StateBytes(const DecodeAttention& decode) {
  constexpr int64_t kAlignment = 256;
  const int64_t bytes =
      ItemRows(decode) * static_cast<int64_t>(sizeof(DecodeState));
  return CeilDiv(bytes, kAlignment) * kAlignment;
}

template <int kDims>
void LaunchDecode(const DecodeAttention& decode) {
  const LaunchShape shape = {
      {static_cast<unsigned>(DecodeTiles(decode) * decode.splits)},
      {kThreads},
      DecodeSharedBytes(decode, kThreads)};
  if (decode.tile_rows == 8) {
    Launch(DecodeAttentionKernel<DecodeShape<kDims, 8, kThreads>>, shape,
           decode);
  } else {
    Launch(DecodeAttentionKernel<DecodeShape<kDims, 16, kThreads>>, shape,
           decode);
  }
}

int64_t RowsOf(const AttentionProblem& problem) {
  return problem.queries * problem.group;
}

// Rows that are read 16 bytes at a time.
bool IsWhole(const AttentionOperand& operand) {
  const int64_t strides =
      operand.row_stride | operand.head_stride | operand.batch_stride;
  return operand.dtype == DType::F16 && operand.element_stride == 1 &&
         strides % 8 == 0 && IsAligned(operand.data);
}

}  // namespace

// Never given back: at the end of the program the card may be gone.
unsigned* FinishedCounters(int64_t count) {
  static auto& memory = *new std::shared_ptr<std::byte>;
  static int64_t room = 0;
  if (count > room) {
    room = PowerOfTwoFrom(std::max<int64_t>(count, 1024));
    const int64_t bytes = room * static_cast<int64_t>(sizeof(unsigned));
    memory = AllocateScratch(bytes);
    Fill(memory.get(), 0, bytes);
  }
  return reinterpret_cast<unsigned*>(memory.get());
}

bool CanDecodeAttention(const AttentionProblem& problem) {
  // Numbers of rows, in tiles of 16, and of keys are 32 bits.
  constexpr int64_t kMostRows = 1 << 26, kMostKeys = 1 << 30;
  return problem.dim % 8 == 0 && problem.dim <= 256 &&
         problem.value_dim % 8 == 0 && problem.value_dim <= 256 &&
         problem.keys <= kMostKeys &&
         problem.batch * problem.queries * problem.heads <= kMostRows &&
         IsWhole(problem.q) && IsWhole(problem.k) && IsWhole(problem.v) &&
         IsAligned(problem.out);
}

DecodeAttention DecodeAttentionOf(const AttentionProblem& problem, int blocks,
                                  int fewest_keys) {
  DecodeAttention decode = {};
  decode.problem = problem;
  const int64_t widest = std::max(problem.dim, problem.value_dim);
  decode.dims = widest <= 64 ? 64 : widest <= 128 ? 128 : 256;
  decode.tile_rows = RowsOf(problem) <= 8 ? 8 : 16;
  decode.row_tiles =
      static_cast<int>(CeilDiv(RowsOf(problem), decode.tile_rows));
  int64_t keys = problem.keys;
  if (problem.window > 0 && problem.window < keys) {
    const int64_t sides = problem.causal ? 1 : 2;
    keys = std::min(keys, sides * problem.window + problem.queries);
  }
  const int64_t tiles = std::max<int64_t>(DecodeTiles(decode), 1);
  decode.splits = static_cast<int>(std::clamp<int64_t>(
      blocks / tiles, 1, std::max<int64_t>(CeilDiv(keys, fewest_keys), 1)));
  return decode;
}

int64_t DecodeTiles(const DecodeAttention& decode) {
  return decode.problem.batch * decode.problem.kv_heads * decode.row_tiles;
}

int64_t DecodePartBytes(const DecodeAttention& decode) {
  if (decode.splits == 1) return 0;
  return StateBytes(decode) + ItemRows(decode) * decode.problem.value_dim *
                                  static_cast<int64_t>(sizeof(float));
}

void SetDecodeParts(std::byte* memory, DecodeAttention& decode) {
  decode.state = reinterpret_cast<DecodeState*>(memory);
  decode.values = reinterpret_cast<float*>(memory + StateBytes(decode));
}

int DecodeSharedBytes(const DecodeAttention& decode, int threads) {
  const int rows = decode.tile_rows, warps = threads / kWarpSize;
  const int queries = rows * (decode.dims + 32) * int{sizeof(uint16_t)};
  const int seen = rows * 2 * int{sizeof(int)};
  const int block = rows * int{sizeof(DecodeState)};
  const int floats = 2 * warps + DecodeBuffers(rows, warps) * kDecodeStretch;
  return kDecodeItemBytes + queries + seen + block +
         rows * floats * int{sizeof(float)};
}

void RunDecodeAttention(const AttentionProblem& problem) {
  DecodeAttention decode =
      DecodeAttentionOf(problem, Card().multiprocessors, kFewestKeys);
  std::shared_ptr<std::byte> parts;
  if (decode.splits > 1) {
    parts = Allocate(DecodePartBytes(decode));
    SetDecodeParts(parts.get(), decode);
    decode.finished = FinishedCounters(DecodeTiles(decode));
  }
  if (decode.dims == 64) {
    LaunchDecode<64>(decode);
  } else if (decode.dims == 128) {
    LaunchDecode<128>(decode);
  } else {
    LaunchDecode<256>(decode);
  }
}

}  // namespace tl::cuda
