// The walk of matmul_int8_walk-inl.h for the types that most weights have, on
// processors with AVX-512 VNNI: 256 weights at a time, from packed bytes to the
// multiply instruction without leaving the registers. At the speed of memory a
// group of 32 weights has some three cycles (18 bytes of Q4_0), so every
// operation counts: a type says how the 32 bytes of a group come out of its
// blocks, still unsigned, and what the eight or sixteen scales are. What the
// missing sign adds is one product per group, made up for at the end.
#if defined(TL_CPU_MATMUL_INT8_FUSED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TL_CPU_MATMUL_INT8_FUSED_INL_H_
#undef TL_CPU_MATMUL_INT8_FUSED_INL_H_
#else
#define TL_CPU_MATMUL_INT8_FUSED_INL_H_
#endif

#include "cpu/int8_rows-inl.h"

TL_INT8_BEFORE_NAMESPACE();
namespace tl::cpu {
namespace HWY_NAMESPACE {

// Walks `batches` times 256 weights of a row for all rows of x: to[m] is the
// product with row m.
using FusedWalk = void (*)(const std::byte* w, int64_t batches,
                           const Int8Rows& x, float* to);

#if HWY_TARGET != HWY_AVX3_DL
inline FusedWalk FindFusedWalk(DType, int64_t, int64_t) { return nullptr; }
#else

inline constexpr int kBatch = 256;  // weights

HWY_INLINE __m256i Load32(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
HWY_INLINE __m512i Load64(const std::byte* from) {
  return _mm512_loadu_si512(from);
}
HWY_INLINE __m256i And(__m256i v, int mask) {
  return _mm256_and_si256(v, _mm256_set1_epi8(static_cast<char>(mask)));
}

// Scales of a batch, and what `sum of x` is multiplied by to make up for the
// unsigned weights or for the type's offsets.
struct Scales8 {
  __m256 scale;
  __m256 times_sum;
};
struct Scales16 {
  __m512 scale;
  __m512 times_sum;
};

// 16-bit words of 128 bytes, by their number, to the front.
HWY_INLINE __m128i PickWords(const std::byte* from, __m512i numbers) {
  return _mm512_castsi512_si128(
      _mm512_permutex2var_epi16(Load64(from), numbers, Load64(from + 64)));
}
// Eight halves, the first four and the last.
HWY_INLINE __m512i WordNumbers(int first, int step) {
  alignas(64) uint16_t numbers[32] = {};
  for (int i = 0; i < 8; ++i) {
    numbers[i] = static_cast<uint16_t>((first + i * step) % 64);
  }
  return _mm512_load_si512(numbers);
}

struct FusedQ4_0 {
  static constexpr int kBatchBytes = 8 * 18;
  static constexpr float kTimes = -8;  // a nibble is 8 too large
  // The second half of a group is 16 times too large: so are its lanes.
  static constexpr float kUpperLanes = 0.0625f;

  static HWY_INLINE Scales8 Scales(const std::byte* batch) {
    const __m128i halves = PickWords(batch, WordNumbers(0, 9));
    const __m256 scale = _mm256_cvtph_ps(halves);
    return {scale, scale};
  }
  template <int g>
  static HWY_INLINE __m256i Group(const std::byte* batch) {
    const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128(
        reinterpret_cast<const __m128i*>(batch + 18 * g + 2)));
    return _mm256_and_si256(
        twice, _mm256_setr_m128i(_mm_set1_epi8(0x0f),
                                 _mm_set1_epi8(static_cast<char>(0xf0))));
  }
};

struct FusedQ8_0 {
  static constexpr int kBatchBytes = 8 * 34;
  static constexpr float kTimes = -128;
  static constexpr float kUpperLanes = 1;

  static HWY_INLINE Scales8 Scales(const std::byte* batch) {
    const __m128i first = PickWords(batch, WordNumbers(0, 17));
    const __m128i last = PickWords(batch + 128, WordNumbers(4, 17));
    const __m256 scale = _mm256_cvtph_ps(_mm_unpacklo_epi64(first, last));
    return {scale, scale};
  }
  template <int g>
  static HWY_INLINE __m256i Group(const std::byte* batch) {
    return _mm256_xor_si256(Load32(batch + 34 * g + 2),
                            _mm256_set1_epi8(static_cast<char>(0x80)));
  }
};

HWY_INLINE float HalfAt(const std::byte* from) {
  uint16_t half;
  std::memcpy(&half, from, sizeof(half));
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
}

struct FusedQ4_K {
  static constexpr int kBatchBytes = 144;
  static constexpr float kTimes = -1;  // minima, not offsets
  static constexpr float kUpperLanes = 1;

  // Eight 6-bit scales and eight minima in 12 bytes.
  static HWY_INLINE Scales8 Scales(const std::byte* batch) {
    uint32_t word[3];
    std::memcpy(word, batch + 4, sizeof(word));
    const uint32_t high_scales =
        (word[2] & 0x0f0f0f0f) | (word[0] >> 2 & 0x30303030);
    const uint32_t high_minima =
        (word[2] >> 4 & 0x0f0f0f0f) | (word[1] >> 2 & 0x30303030);
    const uint64_t scales =
        (word[0] & 0x3f3f3f3f) | uint64_t{high_scales} << 32;
    const uint64_t minima =
        (word[1] & 0x3f3f3f3f) | uint64_t{high_minima} << 32;
    // Groups from upper nibbles are 16 times too large.
    const __m256 up = _mm256_setr_ps(1, 0.0625f, 1, 0.0625f, 1, 0.0625f, 1,
                                     0.0625f);
    return {_mm256_mul_ps(Times(scales, HalfAt(batch)), up),
            Times(minima, HalfAt(batch + 2))};
  }
  template <int g>
  static HWY_INLINE __m256i Group(const std::byte* batch) {
    const __m256i pair = Load32(batch + 16 + 32 * (g / 2));
    return And(pair, g % 2 == 0 ? 0x0f : 0xf0);
  }

 private:
  static HWY_INLINE __m256 Times(uint64_t bytes, float factor) {
    const __m128i eight = _mm_cvtsi64_si128(static_cast<int64_t>(bytes));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight)),
                         _mm256_set1_ps(factor));
  }
};

struct FusedQ6_K {
  static constexpr int kBatchBytes = 210;
  static constexpr float kTimes = -32;
  static constexpr float kUpperLanes = 1;

  static HWY_INLINE Scales16 Scales(const std::byte* batch) {
    const __m128i bytes =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(batch + 192));
    const __m512 scale =
        _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)),
                      _mm512_set1_ps(HalfAt(batch + 208)));
    return {scale, scale};
  }
  template <int g>
  static HWY_INLINE __m256i Group(const std::byte* batch) {
    constexpr int h = g / 4, j = g % 4;
    const __m256i low = Load32(batch + 64 * h + 32 * (j % 2));
    const __m256i high = Load32(batch + 128 + 32 * h);
    const __m256i nibbles =
        And(j < 2 ? low : _mm256_srli_epi16(low, 4), 15);
    const __m256i two = j == 0   ? _mm256_slli_epi16(high, 4)
                        : j == 1 ? _mm256_slli_epi16(high, 2)
                        : j == 2 ? high
                                 : _mm256_srli_epi16(high, 2);
    // nibbles | (two & 0x30)
    return _mm256_ternarylogic_epi32(nibbles, two, _mm256_set1_epi8(0x30),
                                     0xf8);
  }
};

HWY_INLINE __m256 GroupSum(__m256i weights, __m256i x) {
  __m256i sum = _mm256_setzero_si256();
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(x));
  return _mm256_cvtepi32_ps(sum);
}

// The scales of x times those of the weights, and that of group g in each of
// its eight lanes.
HWY_INLINE __m256 Factors(const Scales8& w, const float* x_scale) {
  return _mm256_mul_ps(w.scale, _mm256_loadu_ps(x_scale));
}
HWY_INLINE __m512 Factors(const Scales16& w, const float* x_scale) {
  return _mm512_mul_ps(w.scale, _mm512_loadu_ps(x_scale));
}
template <int g>
HWY_INLINE __m256 Spread(__m256 factors) {
  return _mm256_permutevar8x32_ps(factors, _mm256_set1_epi32(g));
}
template <int g>
HWY_INLINE __m256 Spread(__m512 factors) {
  constexpr int a = 2 * g, b = 2 * g + 1;
  const __m512i halves = _mm512_castsi256_si512(
      _mm256_setr_epi32(a, a, a, a, b, b, b, b));
  return _mm512_castps512_ps256(_mm512_permutexvar_ps(halves, factors));
}

HWY_INLINE __m256 TimesSum(const Scales8& w, const float* x_sum, __m256 sum) {
  return _mm256_fmadd_ps(w.times_sum, _mm256_loadu_ps(x_sum), sum);
}
HWY_INLINE __m256 TimesSum(const Scales16& w, const float* x_sum, __m256 sum) {
  const __m512 products =
      _mm512_mul_ps(w.times_sum, _mm512_loadu_ps(x_sum));
  const __m256 high = _mm512_extractf32x8_ps(products, 1);
  return _mm256_add_ps(
      sum, _mm256_add_ps(_mm512_castps512_ps256(products), high));
}

// The product of a row of x and a row of weights.
template <class Type, int chains>
struct FusedSum {
  __m256 lanes[chains];  // several, since an addition takes four cycles
  __m256 times_sum;

  HWY_INLINE void Clear() {
    for (__m256& lane : lanes) lane = _mm256_setzero_ps();
    times_sum = _mm256_setzero_ps();
  }
  HWY_INLINE float Total() const {
    __m256 sum = lanes[0];
    for (int i = 1; i < chains; ++i) sum = _mm256_add_ps(sum, lanes[i]);
    const __m256 scale = _mm256_setr_m128(_mm_set1_ps(1),
                                          _mm_set1_ps(Type::kUpperLanes));
    const __m256 times =
        _mm256_mul_ps(times_sum, _mm256_set1_ps(Type::kTimes));
    sum = _mm256_fmadd_ps(sum, scale, times);
    const hn::Full256<float> d;
    return hn::GetLane(hn::SumOfLanes(d, hn::Vec256<float>{sum}));
  }
};

// Group g of a row of weights with M rows of x.
template <class Type, int g, int M, int chains, class F>
HWY_INLINE void AddGroup(const std::byte* batch, const XInt* x,
                         int64_t x_stride, const F (&factors)[M],
                         FusedSum<Type, chains> (&sums)[M]) {
  const __m256i w = Type::template Group<g>(batch);
  HWY_UNROLL(8)
  for (int m = 0; m < M; ++m) {
    const __m256i q = _mm256_loadu_si256(
        reinterpret_cast<const __m256i*>(x + m * x_stride + 32 * g));
    __m256& lanes = sums[m].lanes[g % chains];
    lanes = _mm256_fmadd_ps(GroupSum(w, q), Spread<g>(factors[m]), lanes);
  }
}

template <class Type, int M, int chains>
HWY_INLINE void AddBatch(const std::byte* batch, const Int8Rows& x,
                         int64_t group, int64_t at,
                         FusedSum<Type, chains> (&sums)[M]) {
  const auto scales = Type::Scales(batch);
  decltype(Factors(scales, nullptr)) factors[M];
  HWY_UNROLL(8)
  for (int m = 0; m < M; ++m) {
    const int64_t g = m * x.groups() + group;
    factors[m] = Factors(scales, x.scale + g);
    sums[m].times_sum = TimesSum(scales, x.sum + g, sums[m].times_sum);
  }
  const XInt* q = x.q + at;
  AddGroup<Type, 0>(batch, q, x.k, factors, sums);
  AddGroup<Type, 1>(batch, q, x.k, factors, sums);
  AddGroup<Type, 2>(batch, q, x.k, factors, sums);
  AddGroup<Type, 3>(batch, q, x.k, factors, sums);
  AddGroup<Type, 4>(batch, q, x.k, factors, sums);
  AddGroup<Type, 5>(batch, q, x.k, factors, sums);
  AddGroup<Type, 6>(batch, q, x.k, factors, sums);
  AddGroup<Type, 7>(batch, q, x.k, factors, sums);
}

// The processor foresees a walk only up to the end of a page. Far ahead and
// into the second-level cache: nearer, or into the first, the lines that are
// under way are too few.
template <class Type>
HWY_INLINE void FetchAhead(const std::byte* batch) {
  constexpr int kAhead = 8192;
  for (int i = 0; i < Type::kBatchBytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(batch + kAhead + i),
                 _MM_HINT_T1);
  }
}

// to[m] = row m of x times `batches` batches of a row of weights.
template <class Type, int M>
HWY_NOINLINE void WalkBatches(const std::byte* w, int64_t batches,
                              const Int8Rows& x, float* to) {
  constexpr int kChains = M == 1 ? 4 : M < 4 ? 2 : 1;
  constexpr int kGroups = sizeof(Type::Scales(w)) == sizeof(Scales8) ? 8 : 16;
  FusedSum<Type, kChains> sums[M];
  for (auto& sum : sums) sum.Clear();
  for (int64_t b = 0; b < batches; ++b) {
    const std::byte* batch = w + b * Type::kBatchBytes;
    FetchAhead<Type>(batch);
    AddBatch<Type>(batch, x, b * kGroups, b * kBatch, sums);
  }
  for (int m = 0; m < M; ++m) to[m] = sums[m].Total();
}

template <class Type>
FusedWalk FusedWalkOf(int64_t m) {
  static constexpr FusedWalk kWalks[] = {
      WalkBatches<Type, 1>, WalkBatches<Type, 2>, WalkBatches<Type, 3>,
      WalkBatches<Type, 4>, WalkBatches<Type, 5>, WalkBatches<Type, 6>,
      WalkBatches<Type, 7>, WalkBatches<Type, 8>};
  return kWalks[m - 1];
}

// For m rows of x, at most 8; null where a type or a length has none.
inline FusedWalk FindFusedWalk(DType dtype, int64_t m, int64_t k) {
  if (k % kBatch != 0) return nullptr;
  if (dtype == DType::Q4_0) return FusedWalkOf<FusedQ4_0>(m);
  if (dtype == DType::Q8_0) return FusedWalkOf<FusedQ8_0>(m);
  if (dtype == DType::Q4_K) return FusedWalkOf<FusedQ4_K>(m);
  if (dtype == DType::Q6_K) return FusedWalkOf<FusedQ6_K>(m);
  return nullptr;
}

#endif  // HWY_TARGET == HWY_AVX3_DL

}  // namespace HWY_NAMESPACE
}  // namespace tl::cpu
HWY_AFTER_NAMESPACE();

#endif  // TL_CPU_MATMUL_INT8_FUSED_INL_H_
