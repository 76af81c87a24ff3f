#include "cpu/half_rows.h"

#include "kernel_tests/kernel_test.h"

namespace tl::cpu {
namespace {

TEST(HalfRowsTest, AgreesWithTheReferenceOnEveryHalf) {
  ForEachTarget([] {
    std::vector<uint16_t> halves(65536);
    for (int i = 0; i < 65536; ++i) halves[i] = static_cast<uint16_t>(i);
    std::vector<float> floats(halves.size());
    HalvesToFloats(halves.data(), floats.data(), 65536);
    for (int i = 0; i < 65536; ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(floats[i]),
                std::bit_cast<uint32_t>(HalfToFloat(halves[i])))
          << i;
    }
  });
}

TEST(HalfRowsTest, RoundsAsTheReferenceDoes) {
  ForEachTarget([] {
    std::vector<float> floats;
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 0xfff3) {
      floats.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    }
    std::vector<uint16_t> halves(floats.size());
    FloatsToHalves(floats.data(), halves.data(), std::ssize(floats));
    for (size_t i = 0; i < floats.size(); ++i) {
      ASSERT_EQ(halves[i], FloatToHalf(floats[i])) << floats[i];
    }
  });
}

TEST(HalfRowsTest, TouchesNothingBehindTheLastElement) {
  ForEachTarget([] {
    for (int64_t count = 0; count < 40; ++count) {
      const TestArray x = RandomArray(DType::F32, {count}, 1);
      const TestArray half = Poisoned(DType::F16, {count});
      FloatsToHalves(x.AsView().as<float>(), half.AsView().as<uint16_t>(),
                     count);
      ExpectClose(half, x.Values(), 0.5);
      const TestArray back = Poisoned(DType::F32, {count});
      HalvesToFloats(half.AsView().as<uint16_t>(), back.AsView().as<float>(),
                     count);
      ExpectClose(back, half.Values(), 0);
    }
  });
}

}  // namespace
}  // namespace tl::cpu
