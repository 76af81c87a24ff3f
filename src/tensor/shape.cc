#include "tensor/shape.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "base/error.h"

namespace tl {
namespace {

using Monomial = std::vector<int>;             // sorted variables; {} is 1
using Polynomial = std::map<Monomial, int64_t>;  // no zero coefficients

constexpr int64_t kMaxElements = int64_t{1} << 62;
// Dimensions that people write have a few terms of a few factors. Longer ones
// are unknown: to build one of n factors takes n*n steps and as much memory.
constexpr size_t kMaxTerms = 64;
constexpr size_t kMaxFactors = 64;

bool IsTooLong(const Polynomial& sum) {
  return sum.size() > kMaxTerms ||
         std::any_of(sum.begin(), sum.end(), [](const auto& term) {
           return term.first.size() > kMaxFactors;
         });
}

}  // namespace

// Interns polynomials. It only grows: a program names a handful of dimensions.
class DimTable {
 public:
  static DimTable& Get() {
    static DimTable table;
    return table;
  }

  Dim Variable(std::string_view name, int scope) {
    std::lock_guard lock(mutex_);
    const auto [it, fresh] =
        variables_.try_emplace({std::string(name), scope}, names_.size());
    if (fresh) names_.emplace_back(name);
    return Intern({{{it->second}, 1}});
  }

  // Combine(f): f sees both operands as polynomials and returns the result.
  template <class F>
  Dim Combine(Dim a, Dim b, F f) {
    if (a.unknown() || b.unknown()) return Dim::Unknown();
    std::lock_guard lock(mutex_);
    return Intern(f(PolynomialOf(a), PolynomialOf(b)));
  }

  std::string Print(Dim dim) {
    std::lock_guard lock(mutex_);
    std::string text;
    const Polynomial& sum = *polynomials_[-2 - dim.code_];
    // Constant last: "2*D + 1".
    for (auto it = sum.rbegin(); it != sum.rend(); ++it) {
      const auto& [monomial, coefficient] = *it;
      const int64_t magnitude = coefficient < 0 ? -coefficient : coefficient;
      if (!text.empty()) text += coefficient < 0 ? " - " : " + ";
      if (text.empty() && coefficient < 0) text += "-";
      std::string product;
      if (magnitude != 1 || monomial.empty()) product = std::to_string(magnitude);
      for (int variable : monomial) {
        if (!product.empty()) product += "*";
        product += names_[variable];
      }
      text += product;
    }
    return text;
  }

  Polynomial Copy(Dim dim) {
    std::lock_guard lock(mutex_);
    return PolynomialOf(dim);
  }

 private:
  Polynomial PolynomialOf(Dim dim) const {
    if (!dim.known()) return *polynomials_[-2 - dim.code_];
    if (dim.value() == 0) return {};
    return {{{}, dim.value()}};
  }

  Dim Intern(Polynomial sum) {
    std::erase_if(sum, [](const auto& term) { return term.second == 0; });
    if (sum.empty()) return Dim(0);
    if (sum.size() == 1 && sum.begin()->first.empty()) {
      const int64_t value = sum.begin()->second;
      return value < 0 ? Dim::Unknown() : Dim(value);
    }
    if (IsTooLong(sum)) return Dim::Unknown();
    const int64_t next = static_cast<int64_t>(polynomials_.size());
    const auto [it, fresh] = indices_.try_emplace(std::move(sum), next);
    if (fresh) polynomials_.push_back(&it->first);
    return Dim(Dim::Code{-2 - it->second});
  }

  std::mutex mutex_;
  std::map<std::pair<std::string, int>, int> variables_;
  std::vector<std::string> names_;
  std::map<Polynomial, int64_t> indices_;
  std::vector<const Polynomial*> polynomials_;  // keys of indices_
};

Dim Dim::Named(std::string_view name, int scope) {
  return DimTable::Get().Variable(name, scope);
}

Dim operator+(Dim a, Dim b) {
  if (a.known() && b.known()) return Dim(a.value() + b.value());
  return DimTable::Get().Combine(a, b, [](Polynomial sum, Polynomial other) {
    for (const auto& [monomial, k] : other) sum[monomial] += k;
    return sum;
  });
}

Dim operator-(Dim a, Dim b) {
  if (a.known() && b.known()) {
    return a.value() < b.value() ? Dim::Unknown() : Dim(a.value() - b.value());
  }
  return DimTable::Get().Combine(a, b, [](Polynomial sum, Polynomial other) {
    for (const auto& [monomial, k] : other) sum[monomial] -= k;
    return sum;
  });
}

Dim operator*(Dim a, Dim b) {
  if (a.known() && b.known()) {
    int64_t product;
    if (__builtin_mul_overflow(a.value(), b.value(), &product) ||
        product > kMaxElements) {
      Fail(ErrorKind::kProgram, "a dimension of {} * {} is over 2^62",
           a.value(), b.value());
    }
    return Dim(product);
  }
  return DimTable::Get().Combine(a, b, [](Polynomial x, Polynomial y) {
    Polynomial product;
    for (const auto& [mx, kx] : x) {
      for (const auto& [my, ky] : y) {
        Monomial m;
        std::merge(mx.begin(), mx.end(), my.begin(), my.end(),
                   std::back_inserter(m));
        product[m] += kx * ky;
      }
    }
    return product;
  });
}

// Divides term by term by a single-term divisor, which covers `N*D / D` and
// `4*N / 2`; anything else is left to the run.
Dim DivideExact(Dim a, Dim b) {
  if (a.unknown() || b.unknown() || Same(b, Dim(0))) return Dim::Unknown();
  if (Same(a, b)) return Dim(1);
  if (a.known() && b.known()) {
    return a.value() % b.value() ? Dim::Unknown() : Dim(a.value() / b.value());
  }
  bool exact = true;
  Dim quotient = DimTable::Get().Combine(
      a, b, [&exact](Polynomial sum, const Polynomial& divisor) {
        Polynomial result;
        exact = divisor.size() == 1;
        if (!exact) return result;
        const auto& [mb, kb] = *divisor.begin();
        for (const auto& [ma, ka] : sum) {
          Monomial m;
          std::set_difference(ma.begin(), ma.end(), mb.begin(), mb.end(),
                              std::back_inserter(m));
          exact = exact && ka % kb == 0 && m.size() + mb.size() == ma.size();
          result[m] += ka / kb;
        }
        return result;
      });
  return exact ? quotient : Dim::Unknown();
}

bool Clash(Dim a, Dim b) {
  if (a.unknown() || b.unknown() || Same(a, b)) return false;
  if (a.known() && b.known()) return true;
  Polynomial difference = DimTable::Get().Copy(a);
  for (const auto& [m, k] : DimTable::Get().Copy(b)) difference[m] -= k;
  std::erase_if(difference, [](const auto& term) { return term.second == 0; });
  return difference.size() == 1 && difference.begin()->first.empty();
}

std::string Dim::ToString() const {
  if (known()) return std::to_string(value());
  if (unknown()) return "?";
  return DimTable::Get().Print(*this);
}

Shape::Shape(std::span<const Dim> dims) {
  for (Dim dim : dims) Append(dim);
}

Shape Shape::Of(std::span<const int64_t> dims) {
  Shape shape;
  for (int64_t dim : dims) shape.Append(dim);
  return shape;
}

void Shape::Append(Dim dim) {
  if (rank_ == kMaxRank) {
    Fail(ErrorKind::kProgram, "a tensor may have {} dimensions, not more",
         kMaxRank);
  }
  dims_[rank_++] = dim;
}

void Shape::Insert(int axis, Dim dim) {
  Append(dim);
  std::rotate(dims_.begin() + axis, dims_.begin() + rank_ - 1,
              dims_.begin() + rank_);
}

void Shape::Erase(int axis) {
  std::copy(dims_.begin() + axis + 1, dims_.begin() + rank_,
            dims_.begin() + axis);
  --rank_;
}

bool Shape::known() const {
  return std::all_of(begin(), end(), [](Dim d) { return d.known(); });
}

int64_t Shape::size() const {
  int64_t product = 1;
  bool overflow = false;
  for (Dim dim : dims()) {
    if (dim.value() == 0) return 0;
    overflow = overflow ||
               __builtin_mul_overflow(product, dim.value(), &product) ||
               product > kMaxElements;
  }
  if (overflow) {
    Fail(ErrorKind::kProgram, "a tensor of shape {} has more than 2^62 elements",
         ToString());
  }
  return product;
}

std::string Shape::ToString() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += dims_[axis].ToString();
  }
  return text + "]";
}

bool operator==(const Shape& a, const Shape& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](Dim x, Dim y) { return Same(x, y); });
}

}  // namespace tl
