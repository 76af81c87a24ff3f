#include "format/detect.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"

namespace tl {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::string_view bytes;
  std::string_view description;
};

constexpr auto kMagics = std::to_array<Magic>({
    {"version https://git-lfs"sv,
     "is a git-lfs pointer, not the model; 'git lfs pull' fetches it"},
    {"PK\x03\x04"sv,
     "is a zip archive, as PyTorch's .pt and NumPy's .npz are; save the model "
     "with safetensors.torch.save_file"},
    {"\x1f\x8b"sv, "is compressed with gzip; unpack it first"},
    {"\x80\x02"sv,
     "is a Python pickle, which can run code when it is read; save the model "
     "with safetensors.torch.save_file"},
    {"\x89HDF"sv, "is an HDF5 file, which this build does not read"},
    {"\x93NUMPY"sv, "is a NumPy array, which this build does not read"},
});

constexpr auto kHtmlBeginnings =
    std::to_array<std::string_view>({"<!doctyp", "<html", "<?xml"});

// The first bytes are enough for all of this.
constexpr size_t kHead = 4096;

// No index is larger, so nothing larger is searched.
constexpr size_t kMaxIndex = 100'000'000;

std::string_view Head(const MappedFile& file) {
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()),
          std::min(bytes.size(), kHead)};
}

std::string_view WithoutSpace(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? "" : text.substr(first);
}

bool BeginsLikeHtml(std::string_view head) {
  std::string begin(WithoutSpace(head).substr(0, 16));
  for (char& c : begin) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return std::any_of(
      kHtmlBeginnings.begin(), kHtmlBeginnings.end(),
      [&](std::string_view html) { return begin.starts_with(html); });
}

}  // namespace

std::string DescribeForeignFile(const MappedFile& file) {
  const std::string_view head = Head(file);
  if (head.empty()) return "is empty";
  for (const Magic& magic : kMagics) {
    if (head.starts_with(magic.bytes)) return std::string(magic.description);
  }
  if (BeginsLikeHtml(head)) {
    return "is an HTML page, not a model; perhaps a download that failed";
  }
  if (WithoutSpace(head).starts_with('{')) return "is a JSON file, not a model";
  if (head.find_first_not_of('\0') == std::string_view::npos) {
    return fmt::format(
        "begins with {} zero bytes; a download or a save was interrupted",
        head.size());
  }
  return "";
}

bool IsShardIndex(const MappedFile& file) {
  if (!WithoutSpace(Head(file)).starts_with('{')) return false;
  const std::string_view text(
      reinterpret_cast<const char*>(file.bytes().data()),
      std::min(file.bytes().size(), kMaxIndex));
  return text.find("\"weight_map\"") != std::string_view::npos;
}

}  // namespace tl
