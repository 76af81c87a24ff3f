#include "format/sha256.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace tl {
namespace {

std::string Digest(std::string_view text) {
  return Sha256Of(std::as_bytes(std::span(text)));
}

TEST(Sha256Test, GivesThePublishedDigests) {
  EXPECT_EQ(Digest(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Digest(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, PiecesOfAnySizeGiveTheSame) {
  const std::string text(300, 'x');
  const auto bytes = std::as_bytes(std::span(text));
  for (size_t piece = 1; piece < 200; ++piece) {
    Sha256 sha;
    for (size_t i = 0; i < bytes.size(); i += piece) {
      sha.Update(bytes.subspan(i, std::min(piece, bytes.size() - i)));
    }
    ASSERT_EQ(sha.Finish(), Digest(text)) << piece;
  }
}

}  // namespace
}  // namespace tl
