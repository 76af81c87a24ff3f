#include "ops/evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace tl {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The vocabulary of elementwise.def in float64.
struct DoubleMath {
  static constexpr bool kWholeOnly = false;

  double Const(double c) const { return c; }
  double Neg(double x) const { return -x; }
  double Abs(double x) const { return std::abs(x); }
  double Add(double x, double y) const { return x + y; }
  double Sub(double x, double y) const { return x - y; }
  double Mul(double x, double y) const { return x * y; }
  double Div(double x, double y) const { return x / y; }
  double Min(double x, double y) const {
    return std::isnan(x) || std::isnan(y) ? kNaN : std::min(x, y);
  }
  double Max(double x, double y) const {
    return std::isnan(x) || std::isnan(y) ? kNaN : std::max(x, y);
  }
  double Sqrt(double x) const { return std::sqrt(x); }
  double Floor(double x) const { return std::floor(x); }
  double Ceil(double x) const { return std::ceil(x); }
  double Round(double x) const { return std::nearbyint(x); }
  double Exp(double x) const { return std::exp(x); }
  double Log(double x) const { return std::log(x); }
  double Sin(double x) const { return std::sin(x); }
  double Cos(double x) const { return std::cos(x); }
  double Tanh(double x) const { return std::tanh(x); }
  double Erf(double x) const { return std::erf(x); }
  double Pow(double x, double y) const { return std::pow(x, y); }
  double Rem(double x, double y) const { return std::fmod(x, y); }
  double Lt(double x, double y) const { return x < y; }
  double Le(double x, double y) const { return x <= y; }
  double Gt(double x, double y) const { return x > y; }
  double Ge(double x, double y) const { return x >= y; }
  double Eq(double x, double y) const { return x == y; }
  double Ne(double x, double y) const { return x != y; }
  double Select(double c, double x, double y) const { return c != 0 ? x : y; }
};

[[noreturn]] void FailOverflow(int64_t x, char sign, int64_t y) {
  Fail(ErrorKind::kProgram, "{} {} {} does not fit an int", x, sign, y);
}

// The same in int64, for the rows that keep ints.
struct IntMath {
  static constexpr bool kWholeOnly = true;

  int64_t Const(double c) const { return static_cast<int64_t>(c); }
  int64_t Neg(int64_t x) const { return Sub(0, x); }
  int64_t Abs(int64_t x) const { return x < 0 ? Neg(x) : x; }
  int64_t Add(int64_t x, int64_t y) const {
    int64_t sum;
    if (__builtin_add_overflow(x, y, &sum)) FailOverflow(x, '+', y);
    return sum;
  }
  int64_t Sub(int64_t x, int64_t y) const {
    int64_t difference;
    if (__builtin_sub_overflow(x, y, &difference)) FailOverflow(x, '-', y);
    return difference;
  }
  int64_t Mul(int64_t x, int64_t y) const {
    int64_t product;
    if (__builtin_mul_overflow(x, y, &product)) FailOverflow(x, '*', y);
    return product;
  }
  int64_t Min(int64_t x, int64_t y) const { return std::min(x, y); }
  int64_t Max(int64_t x, int64_t y) const { return std::max(x, y); }
  int64_t Rem(int64_t x, int64_t y) const {
    return y == 0 || y == -1 ? 0 : x % y;
  }
  int64_t Lt(int64_t x, int64_t y) const { return x < y; }
  int64_t Le(int64_t x, int64_t y) const { return x <= y; }
  int64_t Gt(int64_t x, int64_t y) const { return x > y; }
  int64_t Ge(int64_t x, int64_t y) const { return x >= y; }
  int64_t Eq(int64_t x, int64_t y) const { return x == y; }
  int64_t Ne(int64_t x, int64_t y) const { return x != y; }
  int64_t Select(int64_t c, int64_t x, int64_t y) const { return c ? x : y; }
};

template <class Math, class T>
T Formula(const Math& m, OpId op, [[maybe_unused]] T x, [[maybe_unused]] T y,
          [[maybe_unused]] T z) {
  switch (op) {
#define TL_UNARY(id, name, domain, formula)                           \
  case OpId::id:                                                      \
    if constexpr (!Math::kWholeOnly || Domain::domain != Domain::kFloat) \
      return formula;                                                 \
    break;
#define TL_BINARY TL_UNARY
#define TL_TERNARY TL_UNARY
#include "ops/elementwise.def"
#define TL_VIEW(id, ...) case OpId::id:
#define TL_KERNEL(id, ...) case OpId::id:
#include "ops/structured.def"
    case OpId::kLeaf:
    case OpId::kNumber:
      break;
  }
  TL_CHECK(false);
  return {};
}

}  // namespace

double Evaluate(OpId op, double x, double y, double z) {
  return Formula(DoubleMath(), op, x, y, z);
}

int64_t EvaluateInts(OpId op, int64_t x, int64_t y, int64_t z) {
  return Formula(IntMath(), op, x, y, z);
}

}  // namespace tl
