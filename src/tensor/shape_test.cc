#include "tensor/shape.h"

#include <gtest/gtest.h>

#include <string>

namespace tl {
namespace {

TEST(Dim, ExpressionsThatAreEqualAreTheSame) {
  const Dim n = Dim::Named("N", 1), d = Dim::Named("D", 1);
  EXPECT_TRUE(Same(n * d + n, n * (d + 1)));
  EXPECT_TRUE(Same((n + 1) - 1, n));
  EXPECT_FALSE(Same(n, Dim::Named("N", 2)));
  EXPECT_EQ((n * 2 * d + 1).ToString(), "2*N*D + 1");
}

TEST(Dim, ClashesWhereTheDifferenceIsANumber) {
  const Dim n = Dim::Named("N", 1);
  EXPECT_TRUE(Clash(n, n + 1));
  EXPECT_FALSE(Clash(n, 4));
  EXPECT_TRUE(Clash(3, 4));
}

TEST(Dim, AnExpressionOfManyFactorsOrTermsIsUnknown) {
  const Dim n = Dim::Named("N", 1);
  Dim power = 1, sum = 0;
  for (int i = 0; i < 64; ++i) {
    power = power * n;
    sum = sum + Dim::Named("N" + std::to_string(i), 1);
  }
  EXPECT_TRUE(power.symbolic());
  EXPECT_TRUE(sum.symbolic());
  EXPECT_TRUE((power * n).unknown());
  EXPECT_TRUE((sum + 1).unknown());
}

}  // namespace
}  // namespace tl
