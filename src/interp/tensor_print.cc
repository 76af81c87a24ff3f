#include "interp/tensor_print.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/half.h"

namespace tl {
namespace {

constexpr int64_t kSummarizeAbove = 1000;
constexpr int64_t kEdgeItems = 3;
constexpr int kLineWidth = 80;
constexpr int kPrecision = 4;

// One notation for all elements, chosen by the shown values that are finite
// and not zero: whole numbers, 4 decimals, or an exponent.
class NumberFormat {
 public:
  NumberFormat(DType dtype, const std::vector<double>& shown) {
    if (dtype == DType::I32) {
      notation_ = Notation::kInt;
      for (double value : shown) Widen(Text(value));
      return;
    }
    double smallest = INFINITY, largest = 0;
    bool whole = true;
    for (double value : shown) {
      if (!std::isfinite(value) || value == 0) continue;
      smallest = std::min(smallest, std::abs(value));
      largest = std::max(largest, std::abs(value));
      whole = whole && value == std::ceil(value);
    }
    if (largest == 0) return;  // nothing to choose by: "0.", "nan"
    const bool wide = largest / smallest > 1000 || largest > 1e8;
    if (wide || (!whole && smallest < 1e-4)) {
      notation_ = Notation::kExponent;
    } else if (!whole) {
      notation_ = Notation::kDecimals;
    }
    for (double value : shown) {
      if (std::isfinite(value) && value != 0) Widen(Text(value));
    }
  }

  int width() const { return width_; }

  std::string operator()(double value) const {
    return fmt::format("{:>{}}", Text(value), width_);
  }

 private:
  enum class Notation { kInt, kWhole, kDecimals, kExponent };

  std::string Text(double value) const {
    if (std::isnan(value)) return "nan";  // whatever its sign bit
    switch (notation_) {
      case Notation::kInt:
        return fmt::format("{:.0f}", value);
      case Notation::kWhole:
        return fmt::format("{:.0f}{}", value, std::isfinite(value) ? "." : "");
      case Notation::kDecimals:
        return fmt::format("{:.{}f}", value, kPrecision);
      case Notation::kExponent:
        return fmt::format("{:.{}e}", value, kPrecision);
    }
    return "";
  }
  void Widen(const std::string& text) {
    width_ = std::max(width_, static_cast<int>(text.size()));
  }

  Notation notation_ = Notation::kWhole;
  int width_ = 1;
};

class Printer {
 public:
  explicit Printer(const Tensor& tensor)
      : tensor_(tensor), summarize_(tensor.size() > kSummarizeAbove) {
    std::vector<double> shown;
    Visit(0, 0, [&](int64_t i) { shown.push_back(ElementAt(tensor_, i)); });
    format_.emplace(tensor.dtype, shown);
  }

  // The elements below `axis`, the first of them number `first`.
  std::string Text(int axis, int64_t first, int indent) const {
    const bool innermost = axis == tensor_.shape.rank() - 1;
    const int64_t below = Below(axis);
    std::vector<std::string> parts;
    ForShown(tensor_.shape.dim(axis), [&](int64_t i) {
      if (i < 0) {
        parts.push_back(innermost ? " ..." : "...");
      } else if (innermost) {
        parts.push_back((*format_)(ElementAt(tensor_, first + i)));
      } else {
        parts.push_back(Text(axis + 1, first + i * below, indent + 1));
      }
    });
    return "[" + (innermost ? Lines(parts, indent) : Blocks(parts, axis, indent)) +
           "]";
  }

 private:
  int64_t Below(int axis) const {
    int64_t n = 1;
    for (int a = axis + 1; a < tensor_.shape.rank(); ++a) {
      n *= tensor_.shape.dim(a);
    }
    return n;
  }

  // f(i) for each shown index along an axis, f(-1) for the gap.
  template <class F>
  void ForShown(int64_t count, F f) const {
    const bool gap = summarize_ && count > 2 * kEdgeItems;
    for (int64_t i = 0; i < count; ++i) {
      if (gap && i == kEdgeItems) {
        f(-1);
        i = count - kEdgeItems;
      }
      f(i);
    }
  }

  template <class F>
  void Visit(int axis, int64_t first, const F& f) const {
    ForShown(tensor_.shape.dim(axis), [&](int64_t i) {
      if (i < 0) return;
      if (axis == tensor_.shape.rank() - 1) {
        f(first + i);
      } else {
        Visit(axis + 1, first + i * Below(axis), f);
      }
    });
  }

  std::string Lines(const std::vector<std::string>& parts, int indent) const {
    const int length = format_->width() + 2;
    const int per_line = std::max(1, (kLineWidth - indent) / length);
    std::string text;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) {
        text += i % per_line == 0 ? ",\n" + std::string(indent + 1, ' ') : ", ";
      }
      text += parts[i];
    }
    return text;
  }

  std::string Blocks(const std::vector<std::string>& parts, int axis,
                     int indent) const {
    const std::string between =
        "," + std::string(tensor_.shape.rank() - axis - 1, '\n') +
        std::string(indent + 1, ' ');
    std::string text;
    for (size_t i = 0; i < parts.size(); ++i) {
      text += (i > 0 ? between : "") + parts[i];
    }
    return text;
  }

  const Tensor& tensor_;
  bool summarize_;
  std::optional<NumberFormat> format_;
};

}  // namespace

double ElementAt(const Tensor& tensor, int64_t i) {
  if (tensor.dtype == DType::F16) return HalfToFloat(tensor.as<uint16_t>()[i]);
  if (tensor.dtype == DType::F32) return tensor.as<float>()[i];
  return tensor.as<int32_t>()[i];
}

std::string FormatTensor(const Tensor& tensor, int column) {
  if (tensor.size() == 0) return "[]";
  return Printer(tensor).Text(0, 0, column);
}

}  // namespace tl
