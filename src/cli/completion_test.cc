#include "cli/completion.h"

#include <gtest/gtest.h>

namespace tl {
namespace {

using Words = std::vector<std::string>;

class FakeScope final : public NamesInScope {
 public:
  Words Names() override { return {"weights", "wide", "m"}; }
  std::optional<MemberOwner> KindOf(const std::string& variable) override {
    if (variable == "m") return MemberOwner::kModel;
    if (variable == "weights") return MemberOwner::kTensor;
    return std::nullopt;
  }
  Words TensorNames(const std::string& variable) override {
    if (variable != "m") return {};
    return {"fc1.weight", "fc1.bias", "fc2.weight", "blk.0.q", "blk.0.k"};
  }
};

Words WordsAfter(std::string_view before) {
  FakeScope scope;
  return Complete(before, scope).words;
}

TEST(Completion, NamesOfTheProgramBuiltinsAndWords) {
  EXPECT_EQ(WordsAfter("let y = wei"), (Words{"weights"}));
  EXPECT_EQ(WordsAfter("soft"), (Words{"softmax", "softplus"}));
  EXPECT_EQ(WordsAfter("whi"), (Words{"while"}));
  EXPECT_EQ(WordsAfter("w"),
            (Words{"weights", "where", "while", "wide", "write",
                   "write_text"}));
}

TEST(Completion, NothingWithoutALetter) {
  EXPECT_EQ(WordsAfter(""), Words());
  EXPECT_EQ(WordsAfter("1 + "), Words());
  EXPECT_EQ(WordsAfter("12"), Words());
}

TEST(Completion, MembersOfATensor) {
  EXPECT_EQ(WordsAfter("weights.s"), (Words{"shape", "size"}));
}

TEST(Completion, PiecesOfTensorNamesAndMembersOfAModel) {
  EXPECT_EQ(WordsAfter("m.f"), (Words{"fc1", "fc2", "format"}));
  EXPECT_EQ(WordsAfter("m.fc1."), (Words{"bias", "weight"}));
  EXPECT_EQ(WordsAfter("x @ m.blk[0]."), (Words{"k", "q"}));
}

TEST(Completion, TensorNamesInsideASubscript) {
  FakeScope scope;
  const Completion found = Complete("let w = m[\"fc1.w", scope);
  EXPECT_EQ(found.words, (Words{"fc1.weight"}));
  EXPECT_EQ(found.begin, 11u);
  EXPECT_EQ(found.after, "\"");
  EXPECT_EQ(WordsAfter("m.get_tensor(\"fc2"), (Words{"fc2.weight"}));
  EXPECT_EQ(WordsAfter("get_tensor(m, \"fc2"), (Words{"fc2.weight"}));
}

TEST(Completion, FilesInsideOtherStrings) {
  const std::string folder = TL_SOURCE_DIR "/src/cli/";
  EXPECT_EQ(WordsAfter("load_model(\"" + folder + "completion_t"),
            (Words{"completion_test.cc"}));
}

TEST(Completion, ACommentHasNoStrings) {
  EXPECT_EQ(FindTypedWord("1 // say \"").place, TypedWord::Place::kNothing);
}

TEST(Completion, AnEscapedQuoteDoesNotEndAString) {
  EXPECT_EQ(FindTypedWord("\"a\\\"b").place, TypedWord::Place::kFile);
}

}  // namespace
}  // namespace tl
