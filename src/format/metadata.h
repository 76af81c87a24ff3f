// What a model says about itself: values by key, in the order of the file. A
// value keeps the exact kind that GGUF has for it, so that a file can be
// written back as it was; SafeTensors has strings only. Strings and arrays of a
// file stay in its mapping: a vocabulary of 100,000 strings costs nothing until
// it is walked. Arrays of arrays do not exist here; readers refuse them. As
// text, for people and for SafeTensors: format/metadata_text.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "format/name_index.h"

namespace tl {

// The numbers are GGUF's.
enum class MetadataKind : uint8_t {
#define TL_METADATA_KIND(id, name, number, bytes, type) id = number,
#include "format/metadata_kind.def"
};

struct MetadataKindInfo {
  std::string_view name;
  int bytes;  // 0: of any length
};

const MetadataKindInfo& Info(MetadataKind kind);
std::optional<MetadataKind> FindMetadataKind(uint32_t number);
std::optional<MetadataKind> FindMetadataKind(std::string_view name);

class MetadataArray;

// The kind whose values are of type T.
template <class T>
constexpr MetadataKind MetadataKindOf() {
#define TL_METADATA_KIND(id, name, number, bytes, type) \
  if (std::is_same_v<T, type>) return MetadataKind::id;
#include "format/metadata_kind.def"
}

// A number, a bool or a string, seen in place. Good as long as its value.
class MetadataItem {
 public:
  // A string's bytes are its text alone.
  MetadataItem(MetadataKind kind, std::span<const std::byte> bytes)
      : kind_(kind), bytes_(bytes) {}

  MetadataKind kind() const { return kind_; }
  std::span<const std::byte> bytes() const { return bytes_; }

  // Nothing where the item is of another kind, or above 2^63.
  std::optional<int64_t> Int() const;
  // Of a whole number from 2^63 on, which only a U64 can be.
  std::optional<uint64_t> LargeInt() const;
  // Of any number, rounded if need be. A float32 gives the shortest decimal
  // that reads back as it: 1e-05, where the nearest double would be
  // 9.999999747378752e-06.
  std::optional<double> Real() const;
  std::optional<bool> Bool() const;
  std::optional<std::string_view> Text() const;

 private:
  MetadataKind kind_;
  std::span<const std::byte> bytes_;
};

// Items of one kind, seen in place: `for (MetadataItem item : array)`. The
// bytes are as GGUF (2 and 3) has them: items one after the other, strings each
// behind their length in 64 bits.
class MetadataArray {
 public:
  class Iterator {
   public:
    using difference_type = int64_t;
    using value_type = MetadataItem;

    Iterator() = default;
    Iterator(MetadataKind kind, int64_t left, std::span<const std::byte> bytes)
        : kind_(kind), left_(left), bytes_(bytes) {}

    MetadataItem operator*() const;
    Iterator& operator++();
    Iterator operator++(int) {
      Iterator old = *this;
      ++*this;
      return old;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) {
      return a.left_ == b.left_;
    }

   private:
    MetadataKind kind_ = MetadataKind::U8;
    int64_t left_ = 0;
    std::span<const std::byte> bytes_;
  };

  MetadataArray(MetadataKind kind, int64_t count,
                std::span<const std::byte> bytes)
      : kind_(kind), count_(count), bytes_(bytes) {}

  MetadataKind kind() const { return kind_; }  // of the items
  int64_t size() const { return count_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  Iterator begin() const { return {kind_, count_, bytes_}; }
  Iterator end() const { return {}; }

 private:
  MetadataKind kind_;
  int64_t count_;
  std::span<const std::byte> bytes_;
};

class MetadataValue {
 public:
  MetadataValue() : MetadataValue(std::string()) {}
  // A string.
  MetadataValue(std::string text);
  MetadataValue(std::string_view text) : MetadataValue(std::string(text)) {}
  MetadataValue(const char* text) : MetadataValue(std::string(text)) {}

  // A number or bool of exactly this type: Of(uint32_t{32}).
  template <class T>
  requires std::is_arithmetic_v<T>
  static MetadataValue Of(T number) {
    MetadataValue value(MetadataKindOf<T>());
    std::memcpy(value.small_.data(), &number, sizeof(number));
    return value;
  }
  // A number or bool from its bytes.
  static MetadataValue OfBytes(MetadataKind kind,
                               std::span<const std::byte> bytes);
  // Bytes that `owner` keeps alive: a text, or items as MetadataArray has them.
  static MetadataValue StringIn(std::shared_ptr<const void> owner,
                                std::string_view text);
  static MetadataValue ArrayIn(std::shared_ptr<const void> owner,
                               MetadataKind items, int64_t count,
                               std::span<const std::byte> bytes);
  // Copies of these items.
  static MetadataValue Strings(std::span<const std::string> items);
  template <class T>
  requires std::is_arithmetic_v<T>
  static MetadataValue Numbers(std::span<const T> items) {
    return OwnedArray(MetadataKindOf<T>(), static_cast<int64_t>(items.size()),
                      std::vector<std::byte>(std::as_bytes(items).begin(),
                                             std::as_bytes(items).end()));
  }
  static MetadataValue OwnedArray(MetadataKind items, int64_t count,
                                  std::vector<std::byte> bytes);

  MetadataKind kind() const { return kind_; }
  bool is_array() const { return kind_ == MetadataKind::Array; }
  // What GGUF stores of it behind the kind: a number, a text without its
  // length, the items of an array without their kind and number.
  std::span<const std::byte> bytes() const;
  // Of anything but an array.
  MetadataItem item() const { return {kind_, bytes()}; }
  // Of an array only.
  MetadataArray array() const { return {items_, count_, bytes()}; }

  // Of the item; nothing for an array.
  std::optional<int64_t> Int() const { return item().Int(); }
  std::optional<double> Real() const { return item().Real(); }
  std::optional<bool> Bool() const { return item().Bool(); }
  std::optional<std::string_view> Text() const { return item().Text(); }

  // Of the same kind, with the same bytes.
  friend bool operator==(const MetadataValue& a, const MetadataValue& b);

 private:
  explicit MetadataValue(MetadataKind kind) : kind_(kind) {}

  MetadataKind kind_;
  MetadataKind items_ = MetadataKind::U8;  // of an array
  int64_t count_ = 0;                      // of an array
  std::array<std::byte, 8> small_{};       // a number or bool
  std::span<const std::byte> large_;       // a string or array, owned by
  std::shared_ptr<const void> owner_;
};

struct MetadataEntry {
  std::string key;
  MetadataValue value;
};

class Metadata {
 public:
  bool empty() const { return entries_.empty(); }
  int64_t size() const { return static_cast<int64_t>(entries_.size()); }
  // In the order of the file, new ones at the end.
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

  const MetadataValue* Find(std::string_view key) const;
  // What is under the key if it is of this kind.
  std::optional<int64_t> Int(std::string_view key) const;
  std::optional<std::string_view> Text(std::string_view key) const;

  // False, and nothing done, when the key is taken.
  bool Add(std::string_view key, MetadataValue value);
  // Adds a value, or replaces the one of this key in its place.
  void Set(std::string_view key, MetadataValue value);
  // Does nothing if there is no such key. O(size).
  void Remove(std::string_view key);

  // The same values, in any order.
  friend bool operator==(const Metadata& a, const Metadata& b);

 private:
  uint32_t Position(std::string_view key) const;

  std::vector<MetadataEntry> entries_;
  NameIndex index_;
};

}  // namespace tl
