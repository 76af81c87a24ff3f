// Fused elementwise chains. A block interprets the chain for all of its threads
// at once, kCount neighbouring elements a thread: reading an instruction is then
// small beside computing it, and no program has to be compiled when it runs. A
// thread's values are in shared memory, 16 bytes beside those of its neighbours.
#include <algorithm>

#include "cuda/async_copy.cuh"
#include "cuda/elementwise_halves.cuh"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/strided_copy.h"
#include "exec/region.h"

namespace tl::cuda {
namespace {

using Group = ElementwiseGroup;
using Access = ElementwiseGroup::Access;

constexpr int kThreads = 128;
// Of a multiprocessor, what registers must allow. Turing's have fewer threads.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int kBlocks = 8;
#else
constexpr int kBlocks = 9;
#endif
constexpr int kCount = 8;  // 16 bytes of f16
constexpr int kQuads = kCount / 4;

TL_DEVICE uint4 PackEight(const uint32_t (&values)[kCount]) {
  uint32_t words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    words[i] = PackHalves(__uint_as_float(values[2 * i]),
                          __uint_as_float(values[2 * i + 1]));
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

TL_DEVICE void UnpackEight(const uint4& bits, uint32_t (&values)[kCount]) {
  const uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = UnpackHalves(words[i]);
    values[2 * i] = __float_as_uint(pair.x);
    values[2 * i + 1] = __float_as_uint(pair.y);
  }
}

TL_DEVICE bool IsAligned(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % 16 == 0;
}

TL_DEVICE void LoadNeighbours(const std::byte* data, DType dtype, int64_t at,
                              int count, uint32_t (&to)[kCount]) {
  if (count == kCount && dtype == DType::F16) {
    const auto* from = reinterpret_cast<const uint16_t*>(data) + at;
    if (IsAligned(from)) {
      return UnpackEight(*reinterpret_cast<const uint4*>(from), to);
    }
  }
  if (count == kCount && dtype != DType::F16) {
    const auto* from = reinterpret_cast<const uint32_t*>(data) + at;
    if (IsAligned(from)) {
#pragma unroll
      for (int q = 0; q < kQuads; ++q) {
        const uint4 bits = reinterpret_cast<const uint4*>(from)[q];
        to[4 * q] = bits.x;
        to[4 * q + 1] = bits.y;
        to[4 * q + 2] = bits.z;
        to[4 * q + 3] = bits.w;
      }
      return;
    }
  }
  for (int i = 0; i < kCount; ++i) {
    to[i] = i < count ? LoadValue(data, dtype, at + i) : 0;
  }
}

TL_DEVICE void StoreNeighbours(std::byte* data, DType dtype, int64_t at,
                               int count, const uint32_t (&from)[kCount]) {
  if (count == kCount && dtype == DType::F16) {
    auto* to = reinterpret_cast<uint16_t*>(data) + at;
    if (IsAligned(to)) {
      *reinterpret_cast<uint4*>(to) = PackEight(from);
      return;
    }
  }
  if (count == kCount && dtype != DType::F16) {
    auto* to = reinterpret_cast<uint32_t*>(data) + at;
    if (IsAligned(to)) {
#pragma unroll
      for (int q = 0; q < kQuads; ++q) {
        reinterpret_cast<uint4*>(to)[q] = make_uint4(
            from[4 * q], from[4 * q + 1], from[4 * q + 2], from[4 * q + 3]);
      }
      return;
    }
  }
  for (int i = 0; i < count; ++i) StoreValue(data, dtype, at + i, from[i]);
}

TL_DEVICE void LoadInput(const Group& group, const Group::Input& x,
                         int64_t begin, int count, uint32_t (&to)[kCount]) {
  if (x.access == Access::kScalar) {
    const uint32_t value = LoadValue(x.data, x.dtype, 0);
    for (int i = 0; i < kCount; ++i) to[i] = value;
    return;
  }
  if (x.access == Access::kFlat) {
    LoadNeighbours(x.data, x.dtype, begin, count, to);
    return;
  }
  const int64_t row = group.dims[group.rank - 1];
  if (x.access == Access::kRows && begin % row + count <= row) {
    const int64_t place = PlaceIn(group, x, begin);
    if (x.strides[group.rank - 1] == 1) {
      LoadNeighbours(x.data, x.dtype, place, count, to);
    } else {
      const uint32_t value = LoadValue(x.data, x.dtype, place);
      for (int i = 0; i < kCount; ++i) to[i] = value;
    }
    return;
  }
  for (int i = 0; i < kCount; ++i) {
    to[i] = i < count
                ? LoadValue(x.data, x.dtype, PlaceIn(group, x, begin + i))
                : 0;
  }
}

// Where an instruction finds its operands and puts its result, read in one load.
struct alignas(8) Places {
  uint8_t operand[3] = {};  // Group::slots of each
  uint8_t result = 0;
  uint8_t half_operands = 0;  // bit k: operand k is f16
  bool halves_only = false;   // the result, too

  Places() = default;
  Places(const Group& group, int i) {
    const Group::Instruction& instruction = group.instruction[i];
    const int count = instruction.operands;
    for (int k = 0; k < count; ++k) {
      const int value = instruction.operand[k];
      operand[k] = group.slots[value];
      half_operands |= (group.dtypes[value] == DType::F16) << k;
    }
    result = group.slots[group.inputs + i];
    halves_only =
        instruction.dtype == DType::F16 && half_operands == (1 << count) - 1;
  }
};

struct Chain {
  Group group;
  Places places[Group::kMaxValues];
};

// A thread's values, each in its own type: one of f16 is rounded by being stored.
// It has kChunks times kCount neighbours, each chunk beside those of the other
// threads.
template <int kChunks>
struct Values {
  uint4* shared;

  TL_DEVICE uint4& At(int slot, int chunk) const {
    return shared[(slot * kChunks + chunk) * kThreads + threadIdx.x];
  }
  TL_DEVICE void Put(int slot, int chunk, bool half,
                     const uint32_t (&from)[kCount]) const {
    if (half) {
      At(slot, chunk) = PackEight(from);
      return;
    }
#pragma unroll
    for (int q = 0; q < kQuads; ++q) {
      At(slot + q, chunk) = make_uint4(from[4 * q], from[4 * q + 1],
                                       from[4 * q + 2], from[4 * q + 3]);
    }
  }
  TL_DEVICE void Get(int slot, int chunk, bool half,
                     uint32_t (&to)[kCount]) const {
    if (half) return UnpackEight(At(slot, chunk), to);
#pragma unroll
    for (int q = 0; q < kQuads; ++q) {
      const uint4 bits = At(slot + q, chunk);
      to[4 * q] = bits.x;
      to[4 * q + 1] = bits.y;
      to[4 * q + 2] = bits.z;
      to[4 * q + 3] = bits.w;
    }
  }
};

template <int kChunksOf>
struct GroupIo {
  static constexpr int kChunks = kChunksOf, kCount = cuda::kCount;
  const Values<kChunks>& values;
  const Group::Instruction& instruction;
  const Places& places;

  TL_DEVICE void Load(int chunk, int k, uint32_t (&x)[kCount]) const {
    values.Get(places.operand[k], chunk, places.half_operands >> k & 1, x);
    if (instruction.int_lanes || !(instruction.int_operands >> k & 1)) return;
    for (int e = 0; e < kCount; ++e) {
      x[e] = __float_as_uint(__int2float_rn(static_cast<int32_t>(x[e])));
    }
  }
  TL_DEVICE void Store(int chunk, const uint32_t (&from)[kCount]) const {
    values.Put(places.result, chunk, instruction.dtype == DType::F16, from);
  }
};

template <int kChunksOf>
struct HalvesIo {
  static constexpr int kChunks = kChunksOf, kCount = cuda::kCount;
  using HalvesOnly = void;
  const Values<kChunks>& values;
  const Places& places;

  TL_DEVICE void Load(int chunk, int k, uint32_t (&x)[kCount]) const {
    UnpackEight(values.At(places.operand[k], chunk), x);
  }
  TL_DEVICE void Store(int chunk, const uint32_t (&from)[kCount]) const {
    values.At(places.result, chunk) = PackEight(from);
  }
  template <class F>
  TL_DEVICE void Pairs(F f) const {
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const uint4 x = values.At(places.operand[0], chunk);
      const uint4 y = values.At(places.operand[1], chunk);
      values.At(places.result, chunk) =
          make_uint4(f(x.x, y.x), f(x.y, y.y), f(x.z, y.z), f(x.w, y.w));
    }
  }
};

// Elements [begin, begin + count) of a thread's chunk.
struct Chunk {
  int64_t begin;
  int count;
};

template <int kChunks>
TL_DEVICE Chunk ChunkOf(const Group& group, int chunk) {
  const int64_t at =
      (int64_t{blockIdx.x} * kChunks + chunk) * kThreads + threadIdx.x;
  const int64_t left = group.size - at * kCount;
  return {at * kCount, left >= kCount ? kCount : static_cast<int>(left)};
}

// Flat operands that begin at a line of 16 bytes go past the registers.
template <int kChunks>
TL_DEVICE void LoadInputs(const Group& group, const Values<kChunks>& values) {
  for (int k = 0; k < group.inputs; ++k) {
    const Group::Input& x = group.input[k];
    const bool direct = x.access == Access::kFlat && IsAligned(x.data);
    const int quads = x.dtype == DType::F16 ? 1 : kQuads;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
      const Chunk chunk = ChunkOf<kChunks>(group, c);
      if (chunk.count <= 0) continue;
      if (direct && chunk.count == kCount) {
        const auto* from = reinterpret_cast<const uint4*>(x.data) +
                           chunk.begin / kCount * quads;
        for (int q = 0; q < quads; ++q) {
          CopyAsync16(&values.At(group.slots[k] + q, c), from + q);
        }
        continue;
      }
      uint32_t value[kCount];
      LoadInput(group, x, chunk.begin, chunk.count, value);
      values.Put(group.slots[k], c, x.dtype == DType::F16, value);
    }
  }
  CommitCopies();
  WaitForCopies<0>();
}

template <int kChunks>
TL_DEVICE void StoreOutputs(const Group& group, const Values<kChunks>& values) {
  for (int k = 0; k < group.outputs; ++k) {
    const Group::Output& out = group.output[k];
    const bool direct = IsAligned(out.data);
    const int slot = group.slots[out.value];
    const int quads = out.dtype == DType::F16 ? 1 : kQuads;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
      const Chunk chunk = ChunkOf<kChunks>(group, c);
      if (chunk.count <= 0) continue;
      if (direct && chunk.count == kCount) {
        auto* to = reinterpret_cast<uint4*>(out.data) +
                   chunk.begin / kCount * quads;
        for (int q = 0; q < quads; ++q) to[q] = values.At(slot + q, c);
        continue;
      }
      uint32_t value[kCount];
      values.Get(slot, c, out.dtype == DType::F16, value);
      StoreNeighbours(out.data, out.dtype, chunk.begin, chunk.count, value);
    }
  }
}

template <int kChunks>
__global__ void __launch_bounds__(kThreads, kBlocks)
    ElementwiseKernel(const __grid_constant__ Chain chain) {
  const Group& group = chain.group;
  const Values<kChunks> values = {reinterpret_cast<uint4*>(DynamicShared())};
  LoadInputs(group, values);
  for (int i = 0; i < group.instructions; ++i) {
    const Group::Instruction instruction = group.instruction[i];
    const Places places = chain.places[i];
    if (places.halves_only) {
      RunOnHalves(instruction, HalvesIo<kChunks>{values, places});
    } else {
      RunInstruction(instruction,
                     GroupIo<kChunks>{values, instruction, places});
    }
  }
  StoreOutputs(group, values);
}

template <int kChunks>
void LaunchGroup(const Group& group) {
  Chain chain = {group, {}};
  for (int i = 0; i < group.instructions; ++i) {
    chain.places[i] = Places(group, i);
  }
  const int64_t per_block = int64_t{kThreads} * kCount * kChunks;
  const int slots = group.slots[group.inputs + group.instructions];
  Launch(ElementwiseKernel<kChunks>,
         {{static_cast<unsigned>((group.size + per_block - 1) / per_block)},
          {kThreads},
          slots * kChunks * kThreads * static_cast<int>(sizeof(uint4))},
         chain);
}

}  // namespace

void Elementwise(const KernelArgs& args) {
  // The same bits, NaN payloads too: conversions do not keep those.
  if (IsCopy(*args.program) && args.outputs.size() == 1) {
    const View& result = args.outputs[0];
    return CopyStrided(result, BroadcastTo(args.inputs[0], result));
  }
  const Group group(*args.program, args.inputs, args.outputs);
  if (group.size == 0) return;
  // Many for each thread where there is enough for all, and room for it.
  constexpr int64_t kMany = 256 << 10;
  constexpr int kMostSlots = 24;
  const int slots = group.slots[group.inputs + group.instructions];
  if (group.size >= kMany && slots <= kMostSlots) {
    LaunchGroup<2>(group);
  } else {
    LaunchGroup<1>(group);
  }
}

}  // namespace tl::cuda
