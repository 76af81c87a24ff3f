// The numbers that a MIL text writes for a tensor, gathered in the form that
// the protobuf message has for their type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "format/coreml.pb.h"

namespace tl {

// "3", "-0x1.8p+1", "1e-5", "inf", "-nan"; nothing for any other text.
std::optional<double> MilNumber(std::string_view text);

class MilTensorLiteral {
 public:
  explicit MilTensorLiteral(coreml::spec::DataType type) : type_(type) {}

  coreml::spec::DataType type() const { return type_; }
  // False where the type has no such value.
  bool AddText(std::string text);
  bool AddNumber(std::string_view text);
  coreml::spec::TensorValue Finish();

 private:
  bool AddReal(std::string_view text);
  bool AddInteger(std::string_view text);
  bool AddBits(uint64_t bits);

  coreml::spec::DataType type_;
  coreml::spec::TensorValue value_;
  std::string packed_;  // of types that have no list of their own
  int64_t bits_ = 0;    // in it
};

}  // namespace tl
