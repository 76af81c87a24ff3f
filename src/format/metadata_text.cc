#include "format/metadata_text.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace tl {
namespace {

using Json = simdjson::dom::element;

constexpr std::string_view kMark = "gguf.";
constexpr std::string_view kHex = ".hex";

bool JsonHolds(MetadataItem item) {
  if (const auto text = item.Text()) return simdjson::validate_utf8(*text);
  // Any byte that is not 0 counts as true.
  if (item.Bool()) return item.bytes()[0] <= std::byte{1};
  const std::optional<double> real = item.Real();
  return !real || std::isfinite(*real);
}

bool JsonHolds(const MetadataValue& value) {
  if (!value.is_array()) return JsonHolds(value.item());
  for (MetadataItem item : value.array()) {
    if (!JsonHolds(item)) return false;
  }
  return true;
}

// As a whole number, -0 would lose its sign.
template <class T>
void AppendReal(std::string& json, T number) {
  const std::string text = fmt::format("{}", number);
  json += text == "-0" ? "-0.0" : text;
}

void AppendItem(std::string& json, MetadataItem item) {
  if (const auto text = item.Text()) {
    AppendJsonString(json, *text);
  } else if (const auto flag = item.Bool()) {
    json += *flag ? "true" : "false";
  } else if (const auto integer = item.Int()) {
    json += std::to_string(*integer);
  } else if (const auto large = item.LargeInt()) {
    json += std::to_string(*large);
  } else if (item.Real() == 0 && std::signbit(*item.Real())) {
    json += "-0.0";  // "-0" would be read as an integer
  } else if (item.kind() == MetadataKind::F32) {
    AppendReal(json, static_cast<float>(*item.Real()));
  } else {
    AppendReal(json, *item.Real());
  }
}

std::string KindText(const MetadataValue& value) {
  return value.is_array() ? fmt::format("[{}]", Info(value.array().kind()).name)
                          : std::string(Info(value.kind()).name);
}

std::string HexOf(std::span<const std::byte> bytes) {
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (std::byte byte : bytes) {
    for (int digit :
         {std::to_integer<int>(byte) >> 4, std::to_integer<int>(byte) & 15}) {
      hex += "0123456789abcdef"[digit];
    }
  }
  return hex;
}

std::optional<std::vector<std::byte>> BytesOfHex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::vector<std::byte> bytes(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); ++i) {
    const size_t digit = std::string_view("0123456789abcdef").find(hex[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    bytes[i / 2] |= std::byte(digit << (i % 2 == 0 ? 4 : 0));
  }
  return bytes;
}

void Append(std::vector<std::byte>& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

template <class T>
bool AppendNumber(std::vector<std::byte>& bytes, Json json) {
  T number{};
  if constexpr (std::is_same_v<T, bool>) {
    if (json.get_bool().get(number)) return false;
  } else if constexpr (std::is_floating_point_v<T>) {
    double real;
    if (json.get_double().get(real)) return false;
    number = static_cast<T>(real);
  } else {
    using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
    Wide integer;
    if (json.get<Wide>().get(integer) || !std::in_range<T>(integer)) {
      return false;
    }
    number = static_cast<T>(integer);
  }
  Append(bytes, std::as_bytes(std::span(&number, 1)));
  return true;
}

// An item as an array holds it. False if the JSON is of another kind.
bool AppendItem(std::vector<std::byte>& bytes, MetadataKind kind, Json json) {
  switch (kind) {
    case MetadataKind::U8:
      return AppendNumber<uint8_t>(bytes, json);
    case MetadataKind::I8:
      return AppendNumber<int8_t>(bytes, json);
    case MetadataKind::U16:
      return AppendNumber<uint16_t>(bytes, json);
    case MetadataKind::I16:
      return AppendNumber<int16_t>(bytes, json);
    case MetadataKind::U32:
      return AppendNumber<uint32_t>(bytes, json);
    case MetadataKind::I32:
      return AppendNumber<int32_t>(bytes, json);
    case MetadataKind::F32:
      return AppendNumber<float>(bytes, json);
    case MetadataKind::U64:
      return AppendNumber<uint64_t>(bytes, json);
    case MetadataKind::I64:
      return AppendNumber<int64_t>(bytes, json);
    case MetadataKind::F64:
      return AppendNumber<double>(bytes, json);
    case MetadataKind::Bool:
      return AppendNumber<bool>(bytes, json);
    case MetadataKind::String:
      break;
    case MetadataKind::Array:
      return false;
  }
  std::string_view text;
  if (json.get_string().get(text)) return false;
  const uint64_t length = text.size();
  Append(bytes, std::as_bytes(std::span(&length, 1)));
  Append(bytes, std::as_bytes(std::span(text)));
  return true;
}

std::optional<MetadataValue> ItemOf(MetadataKind kind, Json json) {
  std::string_view text;
  if (kind == MetadataKind::String) {
    if (json.get_string().get(text)) return std::nullopt;
    return MetadataValue(text);
  }
  std::vector<std::byte> bytes;
  if (!AppendItem(bytes, kind, json)) return std::nullopt;
  return MetadataValue::OfBytes(kind, bytes);
}

std::optional<MetadataValue> ArrayOf(MetadataKind kind, Json json) {
  simdjson::dom::array items;
  if (json.get_array().get(items)) return std::nullopt;
  std::vector<std::byte> bytes;
  int64_t count = 0;
  for (Json item : items) {
    if (!AppendItem(bytes, kind, item)) return std::nullopt;
    ++count;
  }
  return MetadataValue::OwnedArray(kind, count, std::move(bytes));
}

// How many items these bytes are, if they are whole ones.
std::optional<int64_t> CountItems(MetadataKind kind,
                                  std::span<const std::byte> bytes) {
  if (const int width = Info(kind).bytes; width > 0) {
    if (bytes.size() % width != 0) return std::nullopt;
    return static_cast<int64_t>(bytes.size()) / width;
  }
  int64_t count = 0;
  for (; !bytes.empty(); ++count) {
    uint64_t length;
    if (bytes.size() < sizeof(length)) return std::nullopt;
    std::memcpy(&length, bytes.data(), sizeof(length));
    bytes = bytes.subspan(sizeof(length));
    if (length > bytes.size()) return std::nullopt;
    bytes = bytes.subspan(length);
  }
  return count;
}

std::optional<MetadataValue> OfHex(MetadataKind kind, bool array,
                                   std::string_view hex) {
  auto bytes = BytesOfHex(hex);
  if (!bytes) return std::nullopt;
  if (array) {
    const std::optional<int64_t> count = CountItems(kind, *bytes);
    if (!count) return std::nullopt;
    return MetadataValue::OwnedArray(kind, *count, std::move(*bytes));
  }
  if (kind == MetadataKind::String) {
    return MetadataValue(std::string_view(
        reinterpret_cast<const char*>(bytes->data()), bytes->size()));
  }
  if (std::cmp_not_equal(bytes->size(), Info(kind).bytes)) return std::nullopt;
  return MetadataValue::OfBytes(kind, *bytes);
}

std::optional<MetadataValue> Parse(std::string_view text) {
  const size_t colon = text.find(':');
  if (!text.starts_with(kMark) || colon == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view name = text.substr(kMark.size(), colon - kMark.size());
  const std::string_view content = text.substr(colon + 1);
  const bool hex = name.ends_with(kHex);
  if (hex) name.remove_suffix(kHex.size());
  const bool array = name.starts_with('[') && name.ends_with(']');
  if (array) name = name.substr(1, name.size() - 2);
  const std::optional<MetadataKind> kind = FindMetadataKind(name);
  if (!kind || *kind == MetadataKind::Array) return std::nullopt;
  if (hex) return OfHex(*kind, array, content);
  simdjson::dom::parser parser;
  Json json;
  if (parser.parse(simdjson::padded_string(content)).get(json)) {
    return std::nullopt;
  }
  return array ? ArrayOf(*kind, json) : ItemOf(*kind, json);
}

}  // namespace

void AppendJsonString(std::string& json, std::string_view text) {
  constexpr std::string_view kShortEscaped = "\b\f\n\r\t";
  constexpr std::string_view kShortEscapes = "bfnrt";
  json += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (const size_t i = kShortEscaped.find(c);
               i != std::string_view::npos) {
      json += '\\';
      json += kShortEscapes[i];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      json += fmt::format("\\u{:04x}", c);
    } else {
      json += c;
    }
  }
  json += '"';
}

std::string JsonText(std::string_view text) {
  std::string json;
  AppendJsonString(json, text);
  return json;
}

std::string ToText(const MetadataValue& value) {
  const auto text = value.Text();
  const bool plain = JsonHolds(value);
  if (text && plain && !text->starts_with(kMark)) return std::string(*text);
  std::string result = std::string(kMark) + KindText(value);
  if (!plain) return result + std::string(kHex) + ":" + HexOf(value.bytes());
  result += ':';
  if (!value.is_array()) {
    AppendItem(result, value.item());
    return result;
  }
  result += '[';
  bool first = true;
  for (MetadataItem item : value.array()) {
    if (!std::exchange(first, false)) result += ',';
    AppendItem(result, item);
  }
  return result + ']';
}

MetadataValue FromText(std::string_view text) {
  std::optional<MetadataValue> value = Parse(text);
  // Only what ToText() writes, so that the text, too, is what it was.
  return value && ToText(*value) == text ? std::move(*value)
                                         : MetadataValue(text);
}

}  // namespace tl
