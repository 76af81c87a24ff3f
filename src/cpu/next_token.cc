// NextToken: the row as floats; the choice is base/token_draw.h.
#include <algorithm>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/philox.h"
#include "base/token_draw.h"
#include "cpu/half_rows.h"
#include "cpu/kernels.h"

namespace tl::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::span<const float> FloatsOf(const View& x, std::vector<float>& room) {
  const auto n = static_cast<size_t>(x.size());
  if (x.dtype == DType::F32) return {x.as<const float>(), n};
  TL_CHECK(x.dtype == DType::F16);
  room.resize(n);
  HalvesToFloats(x.as<uint16_t>(), room.data(), x.size());
  return room;
}

int32_t Choose(const KernelArgs& args, std::span<const float> row,
               LogitsRow& seen) {
  const auto numbers = args.numbers;
  seen.Look(row);
  const float largest = seen.largest();
  if (seen.has_nan() || largest == -kInfinity) return -1;
  if (numbers[0] <= kGreedyTemperature) {
    return static_cast<int32_t>(std::find(row.begin(), row.end(), largest) -
                                row.begin());
  }
  if (largest == kInfinity) return -1;
  const uint64_t seed = static_cast<uint64_t>(numbers[4]) << 32 |
                        static_cast<uint64_t>(numbers[3]);
  return seen.Draw(static_cast<size_t>(args.ints[0]),
                   {static_cast<float>(numbers[0]), numbers[1],
                    static_cast<float>(numbers[2])},
                   UniformAt(0, seed));
}

}  // namespace

void NextToken(const KernelArgs& args) {
  // Kept from token to token.
  static thread_local std::vector<float> room;
  static thread_local LogitsRow seen;
  *args.outputs[0].as<int32_t>() =
      Choose(args, FloatsOf(args.inputs[0], room), seen);
}

}  // namespace tl::cpu
