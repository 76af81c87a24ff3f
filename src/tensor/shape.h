// Dimensions and shapes, known or symbolic.
//
// A Dim is a number, an expression over names (the N of `float16[N, 2*D]`), or
// unknown. The checker computes with all three, the graph only with numbers;
// both use the same shape rules (ops/op.h), so a clash gives one message.
// Symbolic expressions are interned sums of products, so equal expressions are
// equal Dims, and a Dim stays eight bytes that copy for free.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace tl {

// Deeper tensors can be listed and saved but not computed with. Kernels keep
// dims and strides in fixed arrays of this size.
inline constexpr int kMaxRank = 8;

class Dim {
 public:
  constexpr Dim() : code_(0) {}
  constexpr Dim(int64_t value) : code_(value) {}  // >= 0, or a code()
  static constexpr Dim Unknown() { return Dim(Code{-1}); }
  // The dimension called `name`; each scope (a function being checked) has its
  // own names. Thread safe.
  static Dim Named(std::string_view name, int scope);

  constexpr bool known() const { return code_ >= 0; }
  constexpr bool unknown() const { return code_ == -1; }
  constexpr bool symbolic() const { return code_ < -1; }
  constexpr int64_t value() const { return code_; }  // requires known()
  // The Dim as one integer, itself when known: Dim(d.code()) is d. This is how
  // op attributes carry dims.
  constexpr int64_t code() const { return code_; }

  // Same number or same expression. Two unknowns are not the same.
  friend constexpr bool Same(Dim a, Dim b) {
    return a.code_ == b.code_ && !a.unknown();
  }
  // Can never be equal: two different numbers, or expressions that differ by a
  // number. `N` and `4` may be equal.
  friend bool Clash(Dim a, Dim b);

  friend Dim operator+(Dim a, Dim b);
  friend Dim operator-(Dim a, Dim b);
  friend Dim operator*(Dim a, Dim b);
  // a / b where b divides a for certain, else unknown.
  friend Dim DivideExact(Dim a, Dim b);

  std::string ToString() const;  // "4", "N", "2*D + 1", "?"

 private:
  struct Code {
    int64_t code;
  };
  explicit constexpr Dim(Code code) : code_(code.code) {}
  friend class DimTable;

  int64_t code_;  // >= 0 a number, -1 unknown, else -2 - index in the DimTable
};

bool Clash(Dim a, Dim b);
Dim operator+(Dim a, Dim b);
Dim operator-(Dim a, Dim b);
Dim operator*(Dim a, Dim b);
Dim DivideExact(Dim a, Dim b);

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<Dim> dims)
      : Shape(std::span<const Dim>(dims.begin(), dims.size())) {}
  // Fails above kMaxRank.
  explicit Shape(std::span<const Dim> dims);
  static Shape Of(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  Dim operator[](int axis) const { return dims_[axis]; }
  Dim& operator[](int axis) { return dims_[axis]; }
  std::span<const Dim> dims() const { return {dims_.data(), size_t(rank_)}; }
  const Dim* begin() const { return dims_.data(); }
  const Dim* end() const { return dims_.data() + rank_; }

  void Append(Dim dim);  // fails above kMaxRank
  void Insert(int axis, Dim dim);
  void Erase(int axis);

  bool known() const;  // every dim is a number
  int64_t size() const;  // product of known dims; fails when over 2^62
  int64_t dim(int axis) const { return dims_[axis].value(); }

  std::string ToString() const;  // "[N, 4]"

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  int rank_ = 0;
  std::array<Dim, kMaxRank> dims_;
};

}  // namespace tl
