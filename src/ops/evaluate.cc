#include "ops/evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace tl {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The vocabulary of elementwise.def.
struct DoubleMath {
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

}  // namespace

double Evaluate(OpId op, [[maybe_unused]] double x, [[maybe_unused]] double y,
                [[maybe_unused]] double z) {
  const DoubleMath m;
  TL_CHECK(Info(op).op_class == OpClass::kElementwise);
  switch (op) {
#define TL_UNARY(id, name, domain, formula) \
  case OpId::id:                            \
    return formula;
#define TL_BINARY(id, name, domain, formula) \
  case OpId::id:                             \
    return formula;
#define TL_TERNARY(id, name, domain, formula) \
  case OpId::id:                              \
    return formula;
#include "ops/elementwise.def"
#define TL_VIEW(id, ...) case OpId::id:
#define TL_KERNEL(id, ...) case OpId::id:
#include "ops/structured.def"
    case OpId::kLeaf:
    case OpId::kNumber:
      break;
  }
  return kNaN;
}

}  // namespace tl
