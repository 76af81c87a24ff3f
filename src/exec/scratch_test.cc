#include "exec/scratch.h"

#include <gtest/gtest.h>

#include "exec/executor_test.h"

namespace tl {
namespace {

Operand SlotOperand(int slot, int64_t elements) {
  Operand x;
  x.source = Operand::Source::kSlot;
  x.index = slot;
  x.dtype = DType::F32;
  x.rank = 1;
  x.dims[0] = elements;
  x.strides[0] = 1;
  return x;
}

// Steps that each write one slot, the next in number.
class ScratchTest : public testing::Test {
 protected:
  Step& Add(int64_t elements, std::vector<int32_t> reads,
            std::vector<int32_t> releases) {
    Step step{};
    step.op = OpId::Identity;
    for (int32_t slot : reads) {
      step.inputs.push_back(
          SlotOperand(slot, plan_.slots[slot].shape.size()));
    }
    const auto slot = static_cast<int32_t>(plan_.slots.size());
    plan_.slots.push_back({DType::F32, Shape{elements},
                           static_cast<int>(plan_.steps.size())});
    step.outputs = {slot};
    step.releases = std::move(releases);
    plan_.steps.push_back(std::move(step));
    return plan_.steps.back();
  }

  std::vector<int64_t> Offsets(Placement placement = Placement::kTogether) {
    PlaceSlots(plan_, placement);
    std::vector<int64_t> offsets;
    for (const Slot& slot : plan_.slots) offsets.push_back(slot.offset);
    return offsets;
  }

  Plan plan_;
};

using Places = std::vector<int64_t>;

// 16 floats take a cache line and the line that vectors may read behind it.
TEST_F(ScratchTest, ASlotLiesWhereADeadOneLay) {
  Add(16, {}, {});
  Add(16, {0}, {0});
  Add(16, {1}, {1});
  Add(16, {2}, {2, 3});
  EXPECT_EQ(Offsets(), (Places{0, 128, 0, 128}));
  EXPECT_EQ(plan_.scratch_bytes, 256);
}

TEST_F(ScratchTest, SlotsLieApartWhereStepsRunAtOnce) {
  Add(16, {}, {});
  Add(16, {0}, {0});
  Add(16, {1}, {1});
  EXPECT_EQ(Offsets(Placement::kApart), (Places{0, 128, 256}));
  EXPECT_EQ(plan_.scratch_bytes, 384);
}

TEST_F(ScratchTest, NeighboursThatAreDeadMakeRoomForALargerOne) {
  Add(16, {}, {});
  Add(16, {}, {});
  Add(16, {}, {});
  Add(16, {0, 1}, {0, 1});
  Add(48, {2}, {2, 3, 4});
  EXPECT_EQ(Offsets(), (Places{0, 128, 256, 384, 0}));
  EXPECT_EQ(plan_.scratch_bytes, 512);
}

TEST_F(ScratchTest, AResultTakesThePlaceOfItsDonor) {
  Add(16, {}, {});
  Add(16, {}, {});
  Add(16, {0, 1}, {0}).donor = 0;
  Add(16, {1, 2}, {1, 2, 3});
  EXPECT_EQ(Offsets(), (Places{0, 128, 0, 256}));
}

TEST_F(ScratchTest, WhatOutlivesTheRunHasMemoryOfItsOwnAndSoHasItsDonor) {
  Add(16, {}, {});
  Add(16, {0}, {0}).donor = 0;
  plan_.slots[1].kept = true;
  Add(16, {1}, {2});
  EXPECT_EQ(Offsets(), (Places{-1, -1, 0}));
}

TEST_F(ScratchTest, WhatALeafMayDonateHasMemoryOfItsOwn) {
  Step& step = Add(16, {}, {});
  step.inputs.push_back(SlotOperand(0, 16));
  step.inputs[0].source = Operand::Source::kLeaf;
  step.donor = 0;
  Add(16, {0}, {0, 1});
  EXPECT_EQ(Offsets(), (Places{-1, 0}));
}

TEST_F(ScratchTest, ALargeSlotHasMemoryOfItsOwn) {
  Add(int64_t{1} << 18, {}, {0});
  EXPECT_EQ(Offsets(), Places{-1});
  EXPECT_EQ(plan_.scratch_bytes, 0);
}

TEST_F(ExecutorTest, AsksOnceForWhatSmallIntermediatesNeed) {
  const NodePtr a = Make({2, 2}, {1, 1, 0, 1});
  const auto product = [&] {
    const TensorRef square = MatrixProduct(builder_, a, a);
    return MatrixProduct(builder_, MatrixProduct(builder_, square, a), square);
  };
  EXPECT_EQ(Values(product()), (Doubles{1, 5, 0, 1}));
  EXPECT_EQ(backend_.allocations, 2);
  EXPECT_EQ(Values(product()), (Doubles{1, 5, 0, 1}));
  EXPECT_EQ(backend_.allocations, 3);  // the result alone
}

}  // namespace
}  // namespace tl
