// Numbers that are computed from what a file stores: read a stretch at a time,
// from several threads, so that nothing but the result is ever whole in memory.
// Compressed constants of CoreML are chains of these (mil_constant.h), and the
// quantised weights of its layers are one each (layer_weights.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace tl {

class NumberSource {
 public:
  virtual ~NumberSource() = default;
  // values[i] = number begin + i.
  virtual void Read(int64_t begin, std::span<float> values) const = 0;
};

// An integer of `bits` (1 to 8) that begins at bit `at` of `bytes`: the lowest
// bits first, as MIL packs them, or the highest, as the layers do.
inline uint32_t LowBitsAt(std::span<const std::byte> bytes, int64_t at,
                          int bits) {
  const int64_t byte = at / 8;
  const int shift = static_cast<int>(at % 8);
  auto window = static_cast<uint32_t>(bytes[byte]);
  if (shift + bits > 8) window |= static_cast<uint32_t>(bytes[byte + 1]) << 8;
  return window >> shift & ((1u << bits) - 1);
}

inline uint32_t HighBitsAt(std::span<const std::byte> bytes, int64_t at,
                           int bits) {
  const int64_t byte = at / 8;
  const int shift = static_cast<int>(at % 8);
  uint32_t window = static_cast<uint32_t>(bytes[byte]) << 8;
  if (shift + bits > 8) window |= static_cast<uint32_t>(bytes[byte + 1]);
  return window >> (16 - shift - bits) & ((1u << bits) - 1);
}

// For each position in a tensor, which of the blocks it belongs to that
// `blocks` counts along each axis: they hold shape[i] / blocks[i] positions
// there.
class BlockIndex {
 public:
  BlockIndex() = default;
  // Each of `blocks` divides the same of `shape`.
  BlockIndex(std::vector<int64_t> shape, std::vector<int64_t> blocks);

  int64_t At(int64_t position) const;
  // Stretches of this many positions, from a multiple of it, share a block.
  int64_t run() const { return run_; }

 private:
  std::vector<int64_t> shape_, blocks_;
  int64_t run_ = INT64_MAX;
};

// All numbers of `source` in the type `dtype`: F16, F32, I8 or U8. Rounded
// once.
std::shared_ptr<std::byte> Materialize(const NumberSource& source, DType dtype,
                                       int64_t elements);

}  // namespace tl
