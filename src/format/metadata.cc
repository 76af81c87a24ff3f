#include "format/metadata.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"

namespace tl {
namespace {

constexpr auto kKinds = std::to_array<MetadataKindInfo>({
#define TL_METADATA_KIND(id, name, number, bytes, type) {name, bytes},
#include "format/metadata_kind.def"
});

template <class T>
T Load(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

double AsDouble(float number) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  double result = number;  // where the text is inf or nan, it is this
  if (std::isfinite(number)) std::from_chars(text.data(), end, result);
  return result;
}

template <class T>
double AsDouble(T number) {
  return static_cast<double>(number);
}

// Calls use(number) with the number of a kind that is one.
template <class F>
void WithNumber(MetadataKind kind, std::span<const std::byte> bytes, F&& use) {
  switch (kind) {
    case MetadataKind::U8:
      return use(Load<uint8_t>(bytes));
    case MetadataKind::I8:
      return use(Load<int8_t>(bytes));
    case MetadataKind::U16:
      return use(Load<uint16_t>(bytes));
    case MetadataKind::I16:
      return use(Load<int16_t>(bytes));
    case MetadataKind::U32:
      return use(Load<uint32_t>(bytes));
    case MetadataKind::I32:
      return use(Load<int32_t>(bytes));
    case MetadataKind::F32:
      return use(Load<float>(bytes));
    case MetadataKind::U64:
      return use(Load<uint64_t>(bytes));
    case MetadataKind::I64:
      return use(Load<int64_t>(bytes));
    case MetadataKind::F64:
      return use(Load<double>(bytes));
    case MetadataKind::Bool:
    case MetadataKind::String:
    case MetadataKind::Array:
      return;
  }
}

}  // namespace

const MetadataKindInfo& Info(MetadataKind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

std::optional<MetadataKind> FindMetadataKind(uint32_t number) {
  if (number >= kKinds.size()) return std::nullopt;
  return static_cast<MetadataKind>(number);
}

std::optional<MetadataKind> FindMetadataKind(std::string_view name) {
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (kKinds[i].name == name) return static_cast<MetadataKind>(i);
  }
  return std::nullopt;
}

std::optional<int64_t> MetadataItem::Int() const {
  std::optional<int64_t> result;
  WithNumber(kind_, bytes_, [&](auto number) {
    if constexpr (std::is_integral_v<decltype(number)>) {
      if (std::in_range<int64_t>(number)) result = int64_t(number);
    }
  });
  return result;
}

std::optional<uint64_t> MetadataItem::LargeInt() const {
  if (kind_ != MetadataKind::U64 || Int()) return std::nullopt;
  return Load<uint64_t>(bytes_);
}

std::optional<double> MetadataItem::Real() const {
  std::optional<double> result;
  WithNumber(kind_, bytes_, [&](auto number) { result = AsDouble(number); });
  return result;
}

std::optional<bool> MetadataItem::Bool() const {
  if (kind_ != MetadataKind::Bool) return std::nullopt;
  return Load<uint8_t>(bytes_) != 0;
}

std::optional<std::string_view> MetadataItem::Text() const {
  if (kind_ != MetadataKind::String) return std::nullopt;
  return TextOf(bytes_);
}

// Lengths were checked when the file was opened, but it can change meanwhile.
MetadataItem MetadataArray::Iterator::operator*() const {
  ByteReader reader(bytes_, "metadata");
  int64_t size = Info(kind_).bytes;
  if (kind_ == MetadataKind::String) {
    size = static_cast<int64_t>(reader.Read<uint64_t>("length of a text"));
  }
  return {kind_, reader.Take(size, "item of an array")};
}

MetadataArray::Iterator& MetadataArray::Iterator::operator++() {
  const std::span<const std::byte> item = (**this).bytes();
  bytes_ = bytes_.subspan(item.data() + item.size() - bytes_.data());
  --left_;
  return *this;
}

MetadataValue::MetadataValue(std::string text) : kind_(MetadataKind::String) {
  auto owned = std::make_shared<const std::string>(std::move(text));
  large_ = std::as_bytes(std::span(*owned));
  owner_ = std::move(owned);
}

MetadataValue MetadataValue::OfBytes(MetadataKind kind,
                                     std::span<const std::byte> bytes) {
  TL_CHECK(std::cmp_equal(Info(kind).bytes, bytes.size()) && !bytes.empty());
  MetadataValue value(kind);
  std::copy(bytes.begin(), bytes.end(), value.small_.begin());
  return value;
}

MetadataValue MetadataValue::StringIn(std::shared_ptr<const void> owner,
                                      std::string_view text) {
  MetadataValue value(MetadataKind::String);
  value.large_ = std::as_bytes(std::span(text));
  value.owner_ = std::move(owner);
  return value;
}

MetadataValue MetadataValue::ArrayIn(std::shared_ptr<const void> owner,
                                     MetadataKind items, int64_t count,
                                     std::span<const std::byte> bytes) {
  TL_CHECK(items != MetadataKind::Array);
  MetadataValue value(MetadataKind::Array);
  value.items_ = items;
  value.count_ = count;
  value.large_ = bytes;
  value.owner_ = std::move(owner);
  return value;
}

MetadataValue MetadataValue::OwnedArray(MetadataKind items, int64_t count,
                                        std::vector<std::byte> bytes) {
  auto owned = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  const std::span<const std::byte> view(*owned);
  return ArrayIn(std::move(owned), items, count, view);
}

MetadataValue MetadataValue::Strings(std::span<const std::string> items) {
  std::vector<std::byte> bytes;
  for (const std::string& item : items) {
    const uint64_t length = item.size();
    const auto prefix = std::as_bytes(std::span(&length, 1));
    const auto text = std::as_bytes(std::span(item));
    bytes.insert(bytes.end(), prefix.begin(), prefix.end());
    bytes.insert(bytes.end(), text.begin(), text.end());
  }
  return OwnedArray(MetadataKind::String, static_cast<int64_t>(items.size()),
                    std::move(bytes));
}

std::span<const std::byte> MetadataValue::bytes() const {
  const int small = Info(kind_).bytes;
  return small > 0 ? std::span(small_).first(small) : large_;
}

bool operator==(const MetadataValue& a, const MetadataValue& b) {
  return a.kind_ == b.kind_ && a.items_ == b.items_ && a.count_ == b.count_ &&
         std::ranges::equal(a.bytes(), b.bytes());
}

uint32_t Metadata::Position(std::string_view key) const {
  return index_.Find(key, [this](uint32_t position) {
    return std::string_view(entries_[position].key);
  });
}

const MetadataValue* Metadata::Find(std::string_view key) const {
  const uint32_t position = Position(key);
  return position == NameIndex::kNone ? nullptr : &entries_[position].value;
}

std::optional<int64_t> Metadata::Int(std::string_view key) const {
  const MetadataValue* value = Find(key);
  return value ? value->Int() : std::nullopt;
}

std::optional<std::string_view> Metadata::Text(std::string_view key) const {
  const MetadataValue* value = Find(key);
  return value ? value->Text() : std::nullopt;
}

bool Metadata::Add(std::string_view key, MetadataValue value) {
  if (Find(key) != nullptr) return false;
  entries_.push_back({std::string(key), std::move(value)});
  index_.Insert(key, static_cast<uint32_t>(entries_.size() - 1));
  return true;
}

void Metadata::Set(std::string_view key, MetadataValue value) {
  const uint32_t position = Position(key);
  if (position == NameIndex::kNone) {
    Add(key, std::move(value));
  } else {
    entries_[position].value = std::move(value);
  }
}

void Metadata::Remove(std::string_view key) {
  const uint32_t position = Position(key);
  if (position == NameIndex::kNone) return;
  entries_.erase(entries_.begin() + position);
  index_.Clear();
  for (size_t i = 0; i < entries_.size(); ++i) {
    index_.Insert(entries_[i].key, static_cast<uint32_t>(i));
  }
}

bool operator==(const Metadata& a, const Metadata& b) {
  return a.size() == b.size() &&
         std::ranges::all_of(a, [&](const MetadataEntry& entry) {
           const MetadataValue* other = b.Find(entry.key);
           return other != nullptr && *other == entry.value;
         });
}

}  // namespace tl
