// The steps that compressed constants of a MIL program are decoded by, each a
// NumberSource over others. What they mean in the operations of CoreML, and
// every check of their operands, is mil_constexpr.cc.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "format/mil_constant.h"
#include "format/number_source.h"

namespace tl {

using NumberSourcePtr = std::shared_ptr<const NumberSource>;

// What is stored, as it is; types below 8 bits are packed lowest bits first.
NumberSourcePtr StoredNumbers(MilNumbers numbers);

// scale[b] * (data - offset[b]), b being the block; no offset is 0.
NumberSourcePtr ScaledNumbers(NumberSourcePtr data, std::vector<float> scale,
                              std::vector<float> offset, BlockIndex blocks);

// table[block][code][component]. The components, if there are several, stand
// along one axis of the result, each at all positions `inside` that axis.
struct TableLayout {
  int64_t entries = 0;
  int64_t vector = 1;
  int64_t inside = 1;
  BlockIndex blocks = {};  // of the codes
};
NumberSourcePtr TableNumbers(NumberSourcePtr codes, std::vector<float> table,
                             TableLayout layout);

// The stored numbers one after the other where the mask has a bit, else 0.
class SparseNumbers final : public NumberSource {
 public:
  SparseNumbers(std::span<const std::byte> mask, int64_t elements,
                NumberSourcePtr numbers, int64_t count)
      : mask_(mask),
        elements_(elements),
        numbers_(std::move(numbers)),
        count_(count) {}

  // Counts the bits once, before the first Read(). Fails, `what` first, when
  // they are not as many as the numbers.
  void Prepare(const std::string& what) const;
  bool IsSet(int64_t position) const {
    return LowBitsAt(mask_, position, 1) != 0;
  }
  void Read(int64_t begin, std::span<float> values) const override;

 private:
  int64_t CountSet(int64_t begin, int64_t count) const;

  std::span<const std::byte> mask_;
  int64_t elements_;
  NumberSourcePtr numbers_;
  int64_t count_;
  mutable std::once_flag prepared_;
  mutable std::vector<int64_t> before_;  // bits before each strip
};

// A mask over codes, where each stands for `vector` numbers of a result laid
// out as TableLayout says.
struct VectorMask {
  std::shared_ptr<const SparseNumbers> bits;
  int64_t vector = 1;
  int64_t inside = 1;
};
// Zero wherever the mask has no bit.
NumberSourcePtr MaskedNumbers(NumberSourcePtr numbers, VectorMask mask);

}  // namespace tl
