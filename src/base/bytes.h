// Reading untrusted bytes: sizes that may not overflow, and a little-endian
// reader that never leaves its span. Every failure says where it happened.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tl {

static_assert(std::endian::native == std::endian::little,
              "model files are little-endian and are used in place");

// The product or sum of two sizes, nothing when it does not fit.
constexpr std::optional<int64_t> CheckedMultiply(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

constexpr std::optional<int64_t> CheckedAdd(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// A number without its fraction, nothing when that does not fit, as a NaN.
constexpr std::optional<int64_t> CheckedTruncate(double number) {
  if (!(number >= -0x1p63 && number < 0x1p63)) return std::nullopt;
  return static_cast<int64_t>(number);
}

class ByteReader {
 public:
  // `source` is the file's name for messages; `origin` is where in that file
  // the first of `bytes` lies.
  ByteReader(std::span<const std::byte> bytes, std::string source,
             int64_t origin = 0)
      : bytes_(bytes), source_(std::move(source)), origin_(origin) {}

  int64_t offset() const { return origin_ + position_; }
  int64_t remaining() const {
    return static_cast<int64_t>(bytes_.size()) - position_;
  }

  // The next `count` bytes; `what` names them in the message.
  std::span<const std::byte> Take(int64_t count, std::string_view what) {
    if (count < 0 || count > remaining()) {
      Fail(ErrorKind::kInput, "{}: byte {}: {} needs {} bytes, {} left",
           source_, offset(), what, static_cast<uint64_t>(count), remaining());
    }
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  template <class T>
  requires std::integral<T> || std::floating_point<T> T
  Read(std::string_view what) {
    T value;
    std::memcpy(&value, Take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  std::string_view ReadText(int64_t count, std::string_view what) {
    const auto taken = Take(count, what);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::string source_;
  int64_t origin_;
  int64_t position_ = 0;
};

}  // namespace tl
