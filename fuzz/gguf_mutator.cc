// Changes one part of a GGUF file: a number, a text, an entry of the metadata
// or of the tensors, or their data. As in fuzz/gguf.cc, the file is without its
// magic. The layout: FORMATS of GGUF version 3, as of ggml's docs/gguf.md.

#include <optional>

#include "mutation.h"

namespace tl {
namespace {

constexpr size_t kAlignment = 32;
constexpr size_t kMagic = 4;

// An entry's bytes, and where in them its numbers are and its texts begin, each
// after eight bytes of length.
struct Entry {
  std::string bytes;
  struct Number {
    size_t at, width;
  };
  std::vector<Number> numbers;
  std::vector<size_t> texts;
};

// Reads entries until something does not fit.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  size_t at() const { return at_; }
  bool fits() const { return fits_; }

  uint64_t Number(size_t width) {
    entry_.numbers.push_back({at_ - begin_, width});
    uint64_t number = 0;
    const std::string_view taken = Take(width);
    taken.copy(reinterpret_cast<char*>(&number), taken.size());
    return number;
  }
  void Text() {
    const size_t begin = at_ - begin_;
    if (Take(Number(8)).data() != nullptr) entry_.texts.push_back(begin);
  }
  void Value(uint64_t type) {
    constexpr size_t kWidths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    constexpr uint64_t kText = 8, kArray = 9;
    if (type == kText) {
      Text();
    } else if (type == kArray) {
      const uint64_t element = Number(4);
      const uint64_t count = Number(8);
      if (element == kArray) fits_ = false;
      for (uint64_t i = 0; i < count && fits_; ++i) Value(element);
    } else if (type < std::size(kWidths)) {
      Number(kWidths[type]);
    } else {
      fits_ = false;
    }
  }

  Entry Metadata() {
    Text();
    Value(Number(4));
    return Finish();
  }
  Entry Tensor() {
    Text();
    const uint64_t rank = Number(4);
    for (uint64_t i = 0; i < rank && fits_; ++i) Number(8);
    Number(4);
    Number(8);
    return Finish();
  }

 private:
  std::string_view Take(uint64_t size) {
    if (size > bytes_.size() - at_) fits_ = false;
    if (!fits_) return {};
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  Entry Finish() {
    Entry made = std::move(entry_);
    made.bytes = bytes_.substr(begin_, at_ - begin_);
    begin_ = at_;
    entry_ = {};
    return made;
  }

  std::string_view bytes_;
  size_t begin_ = 0, at_ = 0;
  bool fits_ = true;
  Entry entry_;
};

struct File {
  std::string version;
  std::vector<Entry> metadata, tensors;
  std::string data;
};

std::optional<File> TakeApart(std::string_view bytes) {
  constexpr size_t kHead = 4 + 8 + 8;
  if (bytes.size() < kHead) return std::nullopt;
  uint64_t tensors, entries;
  std::memcpy(&tensors, bytes.data() + 4, 8);
  std::memcpy(&entries, bytes.data() + 12, 8);
  File file;
  file.version = bytes.substr(0, 4);
  Reader reader(bytes.substr(kHead));
  for (uint64_t i = 0; i < entries && reader.fits(); ++i) {
    file.metadata.push_back(reader.Metadata());
  }
  for (uint64_t i = 0; i < tensors && reader.fits(); ++i) {
    file.tensors.push_back(reader.Tensor());
  }
  if (!reader.fits()) return std::nullopt;
  const size_t end = kMagic + kHead + reader.at();
  const size_t begin =
      (end + kAlignment - 1) / kAlignment * kAlignment - kMagic;
  if (begin < bytes.size()) file.data = bytes.substr(begin);
  return file;
}

std::string Raw(uint64_t number, size_t width) {
  return {reinterpret_cast<const char*>(&number), width};
}

std::string PutTogether(const File& file, uint64_t tensors, uint64_t entries) {
  std::string made = file.version + Raw(tensors, 8) + Raw(entries, 8);
  for (const Entry& entry : file.metadata) made += entry.bytes;
  for (const Entry& entry : file.tensors) made += entry.bytes;
  while ((kMagic + made.size()) % kAlignment != 0) made += '\0';
  return made + file.data;
}

void Change(Chance& chance, Entry& entry) {
  if (!entry.texts.empty() && OneOf(chance, 2)) {
    const size_t at = AnyOf(chance, entry.texts);
    uint64_t size;
    std::memcpy(&size, entry.bytes.data() + at, 8);
    const std::string text = Mutated(entry.bytes.substr(at + 8, size));
    entry.bytes.replace(at, 8 + size, Raw(text.size(), 8) + text);
  } else if (!entry.numbers.empty()) {
    const auto [at, width] = AnyOf(chance, entry.numbers);
    uint64_t now = 0;
    std::memcpy(&now, entry.bytes.data() + at, width);
    entry.bytes.replace(at, width, Raw(HostileNumber(chance, now), width));
  }
}

}  // namespace
}  // namespace tl

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max, unsigned seed) {
  using namespace tl;
  Chance chance(seed);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::optional<File> file = TakeApart(bytes);
  if (!file || OneOf(chance, 4)) return LLVMFuzzerMutate(data, size, max);
  std::vector<Entry>& entries =
      OneOf(chance, 2) ? file->metadata : file->tensors;
  if (OneOf(chance, 8)) {
    file->data = Mutated(file->data);
  } else if (entries.empty() || OneOf(chance, 4)) {
    Reorder(chance, entries);
  } else {
    Change(chance, AnyOf(chance, entries));
  }
  uint64_t tensors = file->tensors.size(), metadata = file->metadata.size();
  if (OneOf(chance, 16)) tensors = HostileNumber(chance, tensors);
  if (OneOf(chance, 16)) metadata = HostileNumber(chance, metadata);
  return Deliver(PutTogether(*file, tensors, metadata), data, size, max);
}
