#include "tensor/decode.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "tensor/packed.h"

namespace tl {
namespace {

template <class Stored, class Value, class F>
void DecodeEach(std::span<const std::byte> bytes, std::span<Value> values,
                F decode) {
  TL_CHECK(bytes.size() == values.size() * sizeof(Stored));
  for (size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = static_cast<Value>(decode(stored));
  }
}

template <class Stored, class Value>
void DecodeNumbers(std::span<const std::byte> bytes, std::span<Value> values) {
  DecodeEach<Stored>(bytes, values, [](Stored stored) { return stored; });
}

template <class Value>
void DecodePacked(DType dtype, std::span<const std::byte> bytes,
                  std::span<Value> values) {
  const PackedType& type = PackedTypeOf(dtype);
  const size_t block = type.block;
  TL_CHECK(values.size() % block == 0 &&
           bytes.size() == values.size() / block * type.bytes);
  for (size_t i = 0; i < values.size() / block; ++i) {
    float decoded[kMaxBlock];
    DecodeBlock(type, bytes.data() + i * type.bytes, decoded);
    std::copy_n(decoded, block, values.data() + i * block);
  }
}

template <class Value>
void DecodeAny(DType dtype, std::span<const std::byte> bytes,
               std::span<Value> values) {
  if (IsPacked(dtype)) return DecodePacked(dtype, bytes, values);
  if (!CanDecode(dtype)) {
    Fail(ErrorKind::kInput, "{} elements have no value of their own",
         Info(dtype).name);
  }
  switch (dtype) {
    case DType::F64:
      return DecodeNumbers<double>(bytes, values);
    case DType::F32:
      return DecodeNumbers<float>(bytes, values);
    case DType::F16:
      return DecodeEach<uint16_t>(bytes, values, HalfToFloat);
    case DType::BF16:
      return DecodeEach<uint16_t>(bytes, values, BFloat16ToFloat);
    case DType::F8_E4M3:
      return DecodeEach<uint8_t>(bytes, values, DecodeF8E4M3);
    case DType::F8_E5M2:
      return DecodeEach<uint8_t>(bytes, values, DecodeF8E5M2);
    case DType::F8_E4M3FNUZ:
      return DecodeEach<uint8_t>(bytes, values, DecodeF8E4M3FNUZ);
    case DType::F8_E5M2FNUZ:
      return DecodeEach<uint8_t>(bytes, values, DecodeF8E5M2FNUZ);
    case DType::F8_E8M0:
      return DecodeEach<uint8_t>(bytes, values, DecodeF8E8M0);
    case DType::I64:
      return DecodeNumbers<int64_t>(bytes, values);
    case DType::I32:
      return DecodeNumbers<int32_t>(bytes, values);
    case DType::I16:
      return DecodeNumbers<int16_t>(bytes, values);
    case DType::I8:
      return DecodeNumbers<int8_t>(bytes, values);
    case DType::U64:
      return DecodeNumbers<uint64_t>(bytes, values);
    case DType::U32:
      return DecodeNumbers<uint32_t>(bytes, values);
    case DType::U16:
      return DecodeNumbers<uint16_t>(bytes, values);
    case DType::U8:
    case DType::BOOL:
      return DecodeNumbers<uint8_t>(bytes, values);
    default:  // the types with blocks, handled above
      TL_CHECK(false);
  }
}

}  // namespace

bool CanDecode(DType dtype) {
  if (IsPacked(dtype)) return true;
  return Info(dtype).block_elements == 1 && dtype != DType::C64;
}

void Decode(DType dtype, std::span<const std::byte> bytes,
            std::span<double> values) {
  DecodeAny(dtype, bytes, values);
}

void Decode(DType dtype, std::span<const std::byte> bytes,
            std::span<float> values) {
  DecodeAny(dtype, bytes, values);
}

}  // namespace tl
