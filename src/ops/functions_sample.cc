// What a sampler does to logits along the last axis. Logits that are cut become
// -inf, as in the logits warpers of Hugging Face's transformers, whose choices
// at ties are kept too. Whole rows are sorted here; text/sampler.h, which draws
// one token of one row, is the quick way.
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/token_draw.h"
#include "ops/build.h"
#include "ops/functions.h"

namespace tl::functions {
namespace {

TensorRef Logits(const Call& call) {
  const TensorRef x = call.Tensor(0);
  const Shape& shape = x->shape();
  const Dim n = x->rank() == 0 ? Dim(0) : shape[x->rank() - 1];
  if (n.known() && n.value() == 0) {
    Fail(ErrorKind::kProgram,
         "{}: 'logits' of shape {} have no last axis to cut along",
         call.function(), shape.ToString());
  }
  return x->dtype() == DType::I32 ? Cast(call.lowering(), x, DType::F32) : x;
}

// A part of the probability. The checker may not know it, and need not.
double Share(const Call& call, size_t i) {
  const double p = call.Number(i);
  if (!(p >= 0 && p <= 1)) {
    Fail(ErrorKind::kProgram, "{}: 'p' is {}; expected a number from 0 to 1",
         call.function(), p);
  }
  return p;
}

TensorRef Cut(Lowering& lo, const TensorRef& cut, const TensorRef& x) {
  const double infinity = std::numeric_limits<double>::infinity();
  return lo.Apply(OpId::Where, {cut, lo.Number(-infinity, DType::F32), x});
}

// The last axis sorted.
enum class Order { kAscending, kDescending };
struct SortedRow {
  TensorRef values, indices;
};
TensorRef FirstSorted(Lowering& lo, const TensorRef& x, Dim k, Order order,
                      int64_t which) {
  return lo.Apply(OpId::TopK, {x},
                  {{k.code(), order == Order::kDescending, which}, {}});
}
SortedRow Ascending(Lowering& lo, const TensorRef& x) {
  const Dim n = x->shape()[x->rank() - 1];
  return {FirstSorted(lo, x, n, Order::kAscending, 0),
          FirstSorted(lo, x, n, Order::kAscending, 1)};
}

TensorRef RunningSum(Lowering& lo, const TensorRef& x) {
  return lo.Apply(OpId::Cumsum, {x}, {{x->rank() - 1}, {}});
}

// Reduced along the last axis, which stays with size 1.
TensorRef OfRow(Lowering& lo, OpId reduce, const TensorRef& x) {
  const int last = x->rank() - 1;
  return Unsqueeze(lo, Cast(lo, Reduce(lo, reduce, x, {last}), x->dtype()),
                   last);
}

}  // namespace

FunctionResult Temperature(const Call& call) {
  const TensorRef x = Logits(call);
  const double t = call.Number(1);
  const bool known = !call[1].is(Argument::Kind::kUnknown);
  if (known && !(t > 0 && std::isfinite(t))) {
    Fail(ErrorKind::kProgram,
         "temperature: 't' is {}; expected a finite number above 0", t);
  }
  return WithNumber(call.lowering(), OpId::Div, x, t);
}

// All that equal the k-th are kept.
FunctionResult TopKLogits(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = Logits(call);
  const int64_t k = call.Int(1);
  if (k < 1) {
    Fail(ErrorKind::kProgram, "top_k: 'k' is {}; expected at least 1", k);
  }
  const int last = x->rank() - 1;
  const Dim n = x->shape()[last];
  if (n.known() && k >= n.value()) return x;
  // How many are sorted does not show in the type.
  const int64_t kept = n.known() ? k : 1;
  const TensorRef largest =
      FirstSorted(lo, x, n.known() ? Dim(kept) : n, Order::kDescending, 0);
  const TensorRef kth = Slice(lo, largest, last, kept - 1, 1);
  return Cut(lo, Binary(lo, OpId::Less, x, kth), x);
}

// From the least likely on, as long as what is cut sums up to 1 - p at most.
FunctionResult TopPLogits(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = Logits(call);
  const double p = Share(call, 1);
  if (p == 1) return x;
  const int last = x->rank() - 1;
  const Dim n = x->shape()[last];
  const SortedRow sorted = Ascending(lo, Cast(lo, x, DType::F32));
  const TensorRef mass =
      RunningSum(lo, Unary(lo, OpId::Softmax, sorted.values));
  const TensorRef cut =
      Binary(lo, OpId::LogicalAnd, WithNumber(lo, OpId::LessEqual, mass, 1 - p),
             WithInt(lo, OpId::Less, Iota(lo, n, DType::I32),
                     n.known() ? n.value() - 1 : 0));
  return Cut(
      lo, lo.Apply(OpId::Scatter, {cut, sorted.indices, cut}, {{last}, {}}), x);
}

// A number that the checker does not know is 0, which is in range.
FunctionResult NextToken(const Call& call) {
  const TensorRef x = Logits(call);
  const Shape& shape = x->shape();
  const int last = shape.rank() - 1;
  for (int axis = 0; axis < last; ++axis) {
    if (!shape[axis].known() || shape[axis].value() == 1) continue;
    Fail(ErrorKind::kProgram,
         "next_token: 'logits' of shape {}; expected one row, such as [n] or "
         "[1, n]",
         shape.ToString());
  }
  const double temperature = call.Number(1);
  const double top_p = call.Number(3), min_p = call.Number(4);
  CheckDrawOptions(temperature, top_p, min_p);
  const int64_t top_k = call.Int(2);
  if (top_k < 1 || top_k > kMostTopK) {
    Fail(ErrorKind::kProgram,
         "next_token: 'top_k' is {}; expected 1 to {} (sample_token takes more)",
         top_k, kMostTopK);
  }
  const uint64_t seed =
      call.has(5) ? call.Int(5) : call.lowering().NextSeed();
  return call.lowering().Apply(
      OpId::NextToken, {x},
      {{top_k},
       {temperature, top_p, min_p, double(uint32_t(seed)), double(seed >> 32)}});
}

FunctionResult MinPLogits(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = Logits(call);
  const TensorRef probs = Unary(lo, OpId::Softmax, Cast(lo, x, DType::F32));
  const TensorRef least =
      WithNumber(lo, OpId::Mul, OfRow(lo, OpId::Max, probs), Share(call, 1));
  return Cut(lo, Binary(lo, OpId::Less, probs, least), x);
}

// Meister, Pimentel, Wiher, Cotterell: "Locally Typical Sampling", 2022: those
// whose surprise is nearest to the mean surprise, until their mass is p.
FunctionResult TypicalLogits(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = Logits(call);
  const double p = Share(call, 1);
  if (p == 1) return x;
  const int last = x->rank() - 1;
  const TensorRef log_probs =
      Unary(lo, OpId::LogSoftmax, Cast(lo, x, DType::F32));
  const TensorRef probs = Unary(lo, OpId::Exp, log_probs);
  // 0 * log 0 is 0.
  const TensorRef terms =
      lo.Apply(OpId::Where, {probs, Binary(lo, OpId::Mul, probs, log_probs),
                             lo.Number(0, DType::F32)});
  const TensorRef away =
      Unary(lo, OpId::Abs,
            Binary(lo, OpId::Sub, log_probs, OfRow(lo, OpId::Sum, terms)));
  const SortedRow sorted = Ascending(lo, away);
  const TensorRef mass = RunningSum(
      lo, lo.Apply(OpId::Gather, {probs, sorted.indices}, {{last}, {}}));
  const TensorRef before = WithNumber(lo, OpId::Less, mass, p);
  // The furthest that is kept: one more than stays below p, if there is one.
  const Dim n = x->shape()[last];
  const TensorRef place =
      WithInt(lo, OpId::Minimum, OfRow(lo, OpId::Sum, before),
              n.known() ? n.value() - 1 : 0);
  const TensorRef furthest =
      lo.Apply(OpId::Gather, {sorted.values, place}, {{last}, {}});
  return Cut(lo, Binary(lo, OpId::Greater, away, furthest), x);
}

}  // namespace tl::functions
