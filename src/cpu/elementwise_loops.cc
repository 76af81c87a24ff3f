#include "cpu/elementwise_loops.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise_loops.cc"
#include "hwy/foreach_target.h"
#include "cpu/lanes-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {
namespace {

using Kind = LoopOperand::Kind;

// Every target here has vectors of a fixed size.
constexpr int64_t kLanes = hn::MaxLanes(F32());

// Which of four ways to load is the same for the whole block: the branch is
// always predicted, and one loop per row serves every mix of types. Only the
// commonest mix, f16 alone, has a loop without branches.
HWY_INLINE VF LoadAsFloat(const LoopOperand& from, int64_t i) {
  const F32 d;
  switch (from.kind) {
    case Kind::kF16:
      return LoadFloat(reinterpret_cast<const uint16_t*>(from.data) + i);
    case Kind::kF32:
      return LoadFloat(reinterpret_cast<const float*>(from.data) + i);
    case Kind::kI32:
      return hn::ConvertTo(
          d, hn::LoadU(I32Lanes(),
                       reinterpret_cast<const int32_t*>(from.data) + i));
    case Kind::kScalar:
      break;
  }
  return hn::Set(d, from.float_value);
}

// Toward zero; what does not fit becomes the nearest int32, NaN becomes 0.
HWY_INLINE VI ToInt(VF v) {
  const F32 d;
  const I32Lanes di;
  const auto too_large = hn::Ge(v, hn::Set(d, 0x1p31f));
  const VI cut = hn::ConvertTo(di, hn::IfThenZeroElse(hn::IsNaN(v), v));
  return hn::IfThenElse(hn::RebindMask(di, too_large), hn::Set(di, INT32_MAX),
                        cut);
}

HWY_INLINE void StoreFromFloat(VF v, const LoopOperand& to, int64_t i) {
  switch (to.kind) {
    case Kind::kF16:
      StoreFloat(v, reinterpret_cast<uint16_t*>(to.data) + i);
      return;
    case Kind::kF32:
      StoreFloat(v, reinterpret_cast<float*>(to.data) + i);
      return;
    case Kind::kI32:
      hn::StoreU(ToInt(v), I32Lanes(), reinterpret_cast<int32_t*>(to.data) + i);
      return;
    case Kind::kScalar:
      return;
  }
}

HWY_INLINE VI LoadAsInt(const LoopOperand& from, int64_t i) {
  const I32Lanes d;
  if (from.kind == Kind::kScalar) return hn::Set(d, from.int_value);
  return hn::LoadU(d, reinterpret_cast<const int32_t*>(from.data) + i);
}

// How lanes of either sort are loaded, stored and computed with.
struct OnFloats {
  using Math = FloatLanesMath;
  static HWY_INLINE VF Load(const LoopOperand& from, int64_t i) {
    return LoadAsFloat(from, i);
  }
  static HWY_INLINE void Store(VF v, const LoopOperand& to, int64_t i) {
    StoreFromFloat(v, to, i);
  }
};
struct OnHalves {
  using Math = HalfLanesMath;
  static HWY_INLINE VF Load(const LoopOperand& from, int64_t i) {
    return LoadFloat(reinterpret_cast<const uint16_t*>(from.data) + i);
  }
  static HWY_INLINE void Store(VF v, const LoopOperand& to, int64_t i) {
    StoreFloat(v, reinterpret_cast<uint16_t*>(to.data) + i);
  }
};
struct OnInts {
  using Math = IntLanesMath;
  static HWY_INLINE VI Load(const LoopOperand& from, int64_t i) {
    return LoadAsInt(from, i);
  }
  static HWY_INLINE void Store(VI v, const LoopOperand& to, int64_t i) {
    hn::StoreU(v, I32Lanes(), reinterpret_cast<int32_t*>(to.data) + i);
  }
};

// One type per row, holding its formula.
#define TL_UNARY(id, name, domain, formula) \
  struct id##Row {                          \
    template <class M, class V>             \
    static HWY_INLINE V Apply(M m, V x) {   \
      (void)m;                              \
      return formula;                       \
    }                                       \
  };
#define TL_BINARY(id, name, domain, formula)   \
  struct id##Row {                             \
    template <class M, class V>                \
    static HWY_INLINE V Apply(M m, V x, V y) { \
      return formula;                          \
    }                                          \
  };
#define TL_TERNARY(id, name, domain, formula)       \
  struct id##Row {                                  \
    template <class M, class V>                     \
    static HWY_INLINE V Apply(M m, V x, V y, V z) { \
      return formula;                               \
    }                                               \
  };
#include "ops/elementwise.def"

// Two vectors at a time: their latencies overlap.
template <class Row, class On>
void UnaryLoop(const LoopOperand* in, const LoopOperand& out, int64_t count) {
  const typename On::Math m;
  const LoopOperand x = in[0], result = out;
  for (int64_t i = 0; i < count; i += 2 * kLanes) {
    const int64_t j = i + kLanes;
    const auto first = Row::Apply(m, On::Load(x, i));
    const auto second = Row::Apply(m, On::Load(x, j));
    On::Store(first, result, i);
    On::Store(second, result, j);
  }
}

template <class Row, class On>
void BinaryLoop(const LoopOperand* in, const LoopOperand& out, int64_t count) {
  const typename On::Math m;
  const LoopOperand x = in[0], y = in[1], result = out;
  for (int64_t i = 0; i < count; i += 2 * kLanes) {
    const int64_t j = i + kLanes;
    const auto first = Row::Apply(m, On::Load(x, i), On::Load(y, i));
    const auto second = Row::Apply(m, On::Load(x, j), On::Load(y, j));
    On::Store(first, result, i);
    On::Store(second, result, j);
  }
}

template <class Row, class On>
void TernaryLoop(const LoopOperand* in, const LoopOperand& out, int64_t count) {
  const typename On::Math m;
  const LoopOperand x = in[0], y = in[1], z = in[2], result = out;
  for (int64_t i = 0; i < count; i += kLanes) {
    On::Store(Row::Apply(m, On::Load(x, i), On::Load(y, i), On::Load(z, i)),
              result, i);
  }
}

constexpr ElementwiseLoop kHalfLoops[] = {
#define TL_UNARY(id, ...) UnaryLoop<id##Row, OnHalves>,
#define TL_BINARY(id, ...) BinaryLoop<id##Row, OnHalves>,
#define TL_TERNARY(id, ...) TernaryLoop<id##Row, OnHalves>,
#include "ops/elementwise.def"
};

constexpr ElementwiseLoop kFloatLoops[] = {
#define TL_UNARY(id, ...) UnaryLoop<id##Row, OnFloats>,
#define TL_BINARY(id, ...) BinaryLoop<id##Row, OnFloats>,
#define TL_TERNARY(id, ...) TernaryLoop<id##Row, OnFloats>,
#include "ops/elementwise.def"
};

// A row whose domain is kFloat has no int32 form: it is not instantiated.
#define TL_INT_LOOP_kFloat(loop, id) nullptr,
#define TL_INT_LOOP_kNumeric(loop, id) loop<id##Row, OnInts>,
#define TL_INT_LOOP_kCompare(loop, id) loop<id##Row, OnInts>,
#define TL_INT_LOOP_kSelect(loop, id) loop<id##Row, OnInts>,
constexpr ElementwiseLoop kIntLoops[] = {
#define TL_UNARY(id, name, domain, ...) TL_INT_LOOP_##domain(UnaryLoop, id)
#define TL_BINARY(id, name, domain, ...) TL_INT_LOOP_##domain(BinaryLoop, id)
#define TL_TERNARY(id, name, domain, ...) TL_INT_LOOP_##domain(TernaryLoop, id)
#include "ops/elementwise.def"
};
#undef TL_INT_LOOP_kFloat
#undef TL_INT_LOOP_kNumeric
#undef TL_INT_LOOP_kCompare
#undef TL_INT_LOOP_kSelect

void Stream(std::byte* to, const std::byte* from, size_t bytes) {
  StreamCopy(to, from, bytes);
}

void Fence() { StreamFence(); }

}  // namespace

const ElementwiseLoops* LoopsOfTarget() {
  static_assert(kLoopStep % (2 * kLanes) == 0);
  static constexpr ElementwiseLoops kLoops = {kHalfLoops, kFloatLoops,
                                              kIntLoops, Stream, Fence};
  return &kLoops;
}

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tl::cpu {

HWY_EXPORT(LoopsOfTarget);

const ElementwiseLoops& GetElementwiseLoops() {
  return *HWY_DYNAMIC_DISPATCH(LoopsOfTarget)();
}

LoopOperand::Kind KindOf(DType dtype) {
  switch (dtype) {
    case DType::F16:
      return LoopOperand::Kind::kF16;
    case DType::F32:
      return LoopOperand::Kind::kF32;
    default:
      return LoopOperand::Kind::kI32;
  }
}

}  // namespace tl::cpu
#endif  // HWY_ONCE
