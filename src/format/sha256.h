// SHA-256 (FIPS 180-4), for comparing a model with the digest its source
// publishes. Our own: the library that has it takes longer to start than the
// whole of `tl`, and this needs no secrets kept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tl {

class Sha256 {
 public:
  Sha256();

  void Update(std::span<const std::byte> bytes);
  // 64 hexadecimal digits. Ends the computation.
  std::string Finish();

 private:
  std::array<uint32_t, 8> state_;
  std::array<std::byte, 64> block_;  // what does not fill a block yet
  size_t filled_ = 0;
  uint64_t length_ = 0;  // in bytes
};

std::string Sha256Of(std::span<const std::byte> bytes);

}  // namespace tl
