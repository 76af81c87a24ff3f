#include "format/mil_sources.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "tensor/decode.h"

namespace tl {
namespace {

using coreml::spec::DataType;

// Numbers that are read ahead at a time.
constexpr int64_t kStrip = 1024;

class StoredSource final : public NumberSource {
 public:
  explicit StoredSource(MilNumbers numbers) : numbers_(std::move(numbers)) {}

  void Read(int64_t begin, std::span<float> values) const override {
    const MilTypeInfo& info = Info(numbers_.type.type);
    const auto count = static_cast<int64_t>(values.size());
    if (info.bits >= 8) {
      const int64_t size = info.bits / 8;
      return Decode(*info.dtype,
                    numbers_.bytes.subspan(begin * size, count * size), values);
    }
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t code =
          LowBitsAt(numbers_.bytes, (begin + i) * info.bits, info.bits);
      const bool negative =
          numbers_.type.type == coreml::spec::INT4 && code >= 8;
      values[i] = static_cast<float>(code) - (negative ? 16 : 0);
    }
  }

 private:
  MilNumbers numbers_;
};

class ScaledSource final : public NumberSource {
 public:
  ScaledSource(NumberSourcePtr data, std::vector<float> scale,
               std::vector<float> offset, BlockIndex blocks)
      : data_(std::move(data)),
        scale_(std::move(scale)),
        offset_(std::move(offset)),
        blocks_(std::move(blocks)) {}

  void Read(int64_t begin, std::span<float> values) const override {
    data_->Read(begin, values);
    const auto count = static_cast<int64_t>(values.size());
    for (int64_t at = 0; at < count;) {
      const int64_t position = begin + at;
      const int64_t step =
          std::min(count - at, blocks_.run() - position % blocks_.run());
      const int64_t block = blocks_.At(position);
      const float scale = scale_[block];
      const float offset = offset_.empty() ? 0 : offset_[block];
      for (int64_t i = at; i < at + step; ++i) {
        values[i] = scale * (values[i] - offset);
      }
      at += step;
    }
  }

 private:
  NumberSourcePtr data_;
  std::vector<float> scale_, offset_;
  BlockIndex blocks_;
};

class TableSource final : public NumberSource {
 public:
  TableSource(NumberSourcePtr codes, std::vector<float> table,
              TableLayout layout)
      : codes_(std::move(codes)),
        table_(std::move(table)),
        layout_(std::move(layout)) {}

  void Read(int64_t begin, std::span<float> values) const override {
    if (layout_.vector > 1) return ReadVectors(begin, values);
    codes_->Read(begin, values);
    const auto count = static_cast<int64_t>(values.size());
    for (int64_t at = 0; at < count;) {
      const int64_t position = begin + at;
      const int64_t run = layout_.blocks.run();
      const int64_t step = std::min(count - at, run - position % run);
      const float* table =
          table_.data() + layout_.blocks.At(position) * layout_.entries;
      for (int64_t i = at; i < at + step; ++i) {
        values[i] = table[static_cast<int64_t>(values[i])];
      }
      at += step;
    }
  }

 private:
  void ReadVectors(int64_t begin, std::span<float> values) const {
    for (size_t i = 0; i < values.size(); ++i) {
      const int64_t position = begin + static_cast<int64_t>(i);
      const int64_t inside = position % layout_.inside;
      const int64_t along = position / layout_.inside;
      const int64_t component = along % layout_.vector;
      const int64_t at = along / layout_.vector * layout_.inside + inside;
      float code;
      codes_->Read(at, {&code, 1});
      const int64_t entry =
          layout_.blocks.At(at) * layout_.entries + static_cast<int64_t>(code);
      values[i] = table_[entry * layout_.vector + component];
    }
  }

  NumberSourcePtr codes_;
  std::vector<float> table_;
  TableLayout layout_;
};

class MaskedSource final : public NumberSource {
 public:
  MaskedSource(NumberSourcePtr numbers, VectorMask mask)
      : numbers_(std::move(numbers)), mask_(std::move(mask)) {}

  void Read(int64_t begin, std::span<float> values) const override {
    numbers_->Read(begin, values);
    for (size_t i = 0; i < values.size(); ++i) {
      const int64_t position = begin + static_cast<int64_t>(i);
      const int64_t along = position / mask_.inside / mask_.vector;
      const int64_t at = along * mask_.inside + position % mask_.inside;
      if (!mask_.bits->IsSet(at)) values[i] = 0;
    }
  }

 private:
  NumberSourcePtr numbers_;
  VectorMask mask_;
};

}  // namespace

void SparseNumbers::Prepare(const std::string& what) const {
  std::call_once(prepared_, [&] {
    std::vector<int64_t> before;
    int64_t set = 0;
    for (int64_t at = 0; at < elements_; at += kStrip) {
      before.push_back(set);
      set += CountSet(at, std::min(kStrip, elements_ - at));
    }
    if (set != count_) {
      Fail(ErrorKind::kInput,
           "{}: its mask has {} bits that are set, but {} numbers are stored",
           what, set, count_);
    }
    before_ = std::move(before);
  });
}

void SparseNumbers::Read(int64_t begin, std::span<float> values) const {
  const int64_t strip = begin / kStrip;
  int64_t next = before_[strip] + CountSet(strip * kStrip, begin % kStrip);
  std::array<float, kStrip> numbers;
  const auto count = static_cast<int64_t>(values.size());
  for (int64_t at = 0; at < count; at += kStrip) {
    const int64_t step = std::min(kStrip, count - at);
    const int64_t set = CountSet(begin + at, step);
    numbers_->Read(next, std::span(numbers).first(set));
    next += set;
    for (int64_t i = 0, used = 0; i < step; ++i) {
      values[at + i] = IsSet(begin + at + i) ? numbers[used++] : 0;
    }
  }
}

int64_t SparseNumbers::CountSet(int64_t begin, int64_t count) const {
  int64_t set = 0;
  for (int64_t i = begin; i < begin + count; ++i) set += IsSet(i) ? 1 : 0;
  return set;
}

NumberSourcePtr StoredNumbers(MilNumbers numbers) {
  return std::make_shared<StoredSource>(std::move(numbers));
}

NumberSourcePtr ScaledNumbers(NumberSourcePtr data, std::vector<float> scale,
                              std::vector<float> offset, BlockIndex blocks) {
  return std::make_shared<ScaledSource>(std::move(data), std::move(scale),
                                        std::move(offset), std::move(blocks));
}

NumberSourcePtr TableNumbers(NumberSourcePtr codes, std::vector<float> table,
                             TableLayout layout) {
  return std::make_shared<TableSource>(std::move(codes), std::move(table),
                                       std::move(layout));
}

NumberSourcePtr MaskedNumbers(NumberSourcePtr numbers, VectorMask mask) {
  return std::make_shared<MaskedSource>(std::move(numbers), std::move(mask));
}

}  // namespace tl
