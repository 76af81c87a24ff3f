#include "format/mil_literal.h"

#include <bit>
#include <charconv>
#include <limits>

#include "base/half.h"
#include "format/mil_type.h"

namespace tl {
namespace {

using namespace coreml::spec;

template <class T>
std::optional<T> Integer(std::string_view text) {
  T number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// The lowest and highest value of an integer type below 64 bits.
struct Range {
  int64_t low, high;
};
Range RangeOf(DataType type) {
  const int bits = Info(type).bits;
  const bool is_signed =
      type == INT4 || type == INT8 || type == INT16 || type == INT32;
  if (!is_signed) return {0, (int64_t{1} << bits) - 1};
  return {-(int64_t{1} << (bits - 1)), (int64_t{1} << (bits - 1)) - 1};
}

}  // namespace

std::optional<double> MilNumber(std::string_view text) {
  bool negative = false;
  if (text.starts_with('-') || text.starts_with('+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  auto format = std::chars_format::general;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    format = std::chars_format::hex;
    text.remove_prefix(2);
  }
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, format);
  if (text.starts_with('-') || error != std::errc() || stop != end) {
    return std::nullopt;
  }
  return negative ? -number : number;
}

bool MilTensorLiteral::AddText(std::string text) {
  if (type_ != STRING) return false;
  value_.mutable_strings()->add_values(std::move(text));
  return true;
}

bool MilTensorLiteral::AddNumber(std::string_view text) {
  switch (type_) {
    case BOOL:
      if (text != "true" && text != "false") return false;
      value_.mutable_bools()->add_values(text == "true");
      return true;
    case FLOAT16:
    case FLOAT32:
    case FLOAT64:
    case BFLOAT16:
      return AddReal(text);
    case FLOAT8E4M3FN:
    case FLOAT8E5M2:
    case STRING:
    case UNUSED_TYPE:
      return false;
    default:
      return AddInteger(text);
  }
}

bool MilTensorLiteral::AddReal(std::string_view text) {
  const auto number = MilNumber(text);
  if (!number) return false;
  const auto single = static_cast<float>(*number);
  if (type_ == FLOAT32) {
    value_.mutable_floats()->add_values(single);
  } else if (type_ == FLOAT64) {
    value_.mutable_doubles()->add_values(*number);
  } else {
    return AddBits(type_ == FLOAT16 ? FloatToHalf(single)
                                    : FloatToBFloat16(single));
  }
  return true;
}

bool MilTensorLiteral::AddInteger(std::string_view text) {
  if (type_ == UINT64) {
    const auto number = Integer<uint64_t>(text);
    if (!number) return false;
    value_.mutable_long_ints()->add_values(static_cast<int64_t>(*number));
    return true;
  }
  const auto number = Integer<int64_t>(text);
  if (!number) return false;
  if (type_ == INT64) {
    value_.mutable_long_ints()->add_values(*number);
    return true;
  }
  const Range range = RangeOf(type_);
  if (*number < range.low || *number > range.high) return false;
  if (type_ != INT32) return AddBits(static_cast<uint64_t>(*number));
  value_.mutable_ints()->add_values(static_cast<int32_t>(*number));
  return true;
}

// Lowest bits first, as in a weight file.
bool MilTensorLiteral::AddBits(uint64_t bits) {
  for (int bit = 0; bit < Info(type_).bits; ++bit, ++bits_) {
    if (bits_ % 8 == 0) packed_ += '\0';
    const uint64_t set = bits >> bit & 1;
    packed_.back() = static_cast<char>(
        static_cast<unsigned char>(packed_.back()) | set << (bits_ % 8));
  }
  return true;
}

// A tensor without elements still has the list of its type.
TensorValue MilTensorLiteral::Finish() {
  if (!packed_.empty()) {
    value_.mutable_bytes()->set_values(std::move(packed_));
  } else if (value_.value_case() == TensorValue::VALUE_NOT_SET) {
    if (type_ == STRING) {
      value_.mutable_strings();
    } else if (type_ == INT32) {
      value_.mutable_ints();
    } else if (type_ == FLOAT32) {
      value_.mutable_floats();
    } else if (type_ == BOOL) {
      value_.mutable_bools();
    } else {
      value_.mutable_bytes();
    }
  }
  return std::move(value_);
}

}  // namespace tl
