// For tests: the bytes of a GGUF file, right or wrong, piece by piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tl {

// The bytes of a number.
template <class T>
std::string Raw(T number) {
  return {reinterpret_cast<const char*>(&number), sizeof(number)};
}

// A text behind its length.
inline std::string RawText(std::string_view text) {
  return Raw(uint64_t{text.size()}).append(text);
}

class GgufFile {
 public:
  // `value` as it is in the file, after its kind.
  GgufFile& Key(std::string_view key, uint32_t kind, std::string_view value) {
    ++keys_;
    metadata_ += RawText(key) + Raw(kind);
    metadata_ += value;
    return *this;
  }
  GgufFile& Text(std::string_view key, std::string_view text) {
    return Key(key, 8, RawText(text));
  }
  GgufFile& U32(std::string_view key, uint32_t number) {
    return Key(key, 4, Raw(number));
  }
  GgufFile& Tensor(std::string_view name, const std::vector<uint64_t>& ne,
                   uint32_t type, uint64_t offset) {
    ++tensors_;
    list_ += RawText(name) + Raw(static_cast<uint32_t>(ne.size()));
    for (uint64_t dim : ne) list_ += Raw(dim);
    list_ += Raw(type) + Raw(offset);
    return *this;
  }
  // What is behind the padding of the header.
  GgufFile& Data(std::string_view data) {
    data_ = data;
    return *this;
  }

  std::string Header(uint32_t version = 3) const {
    return "GGUF" + Raw(version) + Raw(tensors_) + Raw(keys_) + metadata_ +
           list_;
  }
  std::string Bytes(size_t alignment = 32) const {
    std::string file = Header();
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data_;
  }

 private:
  uint64_t tensors_ = 0;
  uint64_t keys_ = 0;
  std::string metadata_, list_, data_;
};

}  // namespace tl
