// Changes one field of the specification of a CoreML model, at any depth, and
// writes the sizes of the messages around it anew. The specification is where
// fuzz/coreml.cc has it. The layout: Protocol Buffers, "Encoding".

#include <optional>

#include "mutation.h"

namespace tl {
namespace {

enum Wire : unsigned { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  uint64_t tag = 0;  // the field's number and its Wire
  uint64_t number = 0;
  std::string bytes;  // of what is no varint

  unsigned wire() const { return tag & 7; }
};

std::optional<uint64_t> TakeVarint(std::string_view& bytes) {
  uint64_t number = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    number |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return number;
  }
  return std::nullopt;
}

void AppendVarint(std::string& out, uint64_t number) {
  for (; number >= 0x80; number >>= 7) {
    out += static_cast<char>(number | 0x80);
  }
  out += static_cast<char>(number);
}

// Nothing for bytes that are no message.
std::optional<std::vector<Field>> FieldsOf(std::string_view bytes) {
  std::vector<Field> fields;
  while (!bytes.empty()) {
    const auto tag = TakeVarint(bytes);
    if (!tag || *tag >> 3 == 0) return std::nullopt;
    Field field;
    field.tag = *tag;
    uint64_t size = 0;
    switch (field.wire()) {
      case kFixed64:
        size = 8;
        break;
      case kFixed32:
        size = 4;
        break;
      case kVarint:
      case kBytes: {
        const auto number = TakeVarint(bytes);
        if (!number) return std::nullopt;
        (field.wire() == kVarint ? field.number : size) = *number;
        break;
      }
      default:
        return std::nullopt;
    }
    if (size > bytes.size()) return std::nullopt;
    field.bytes = bytes.substr(0, size);
    bytes.remove_prefix(size);
    fields.push_back(std::move(field));
  }
  return fields;
}

std::string MessageOf(const std::vector<Field>& fields) {
  std::string made;
  for (const Field& field : fields) {
    AppendVarint(made, field.tag);
    if (field.wire() == kVarint) AppendVarint(made, field.number);
    if (field.wire() == kBytes) AppendVarint(made, field.bytes.size());
    made += field.bytes;
  }
  return made;
}

std::string Changed(Chance& chance, std::string_view bytes) {
  auto fields = FieldsOf(bytes);
  if (!fields || fields->empty() || OneOf(chance, 8)) return Mutated(bytes);
  if (OneOf(chance, 6)) {
    Reorder(chance, *fields);
    return MessageOf(*fields);
  }
  Field& field = AnyOf(chance, *fields);
  switch (field.wire()) {
    case kVarint:
      field.number = HostileNumber(chance, field.number);
      break;
    case kBytes:
      field.bytes = Changed(chance, field.bytes);
      break;
    default: {
      const size_t size = field.bytes.size();
      field.bytes = Mutated(field.bytes, 0);
      field.bytes.resize(size);
    }
  }
  return MessageOf(*fields);
}

// A package: two bytes of the specification's size, it, and the weights.
std::string ChangedPackage(Chance& chance, std::string_view bytes) {
  const size_t size =
      static_cast<uint8_t>(bytes[1]) << 8 | static_cast<uint8_t>(bytes[2]);
  const size_t held = std::min(size, bytes.size() - 3);
  std::string spec(bytes.substr(3, held));
  std::string weights(bytes.substr(3 + held));
  if (OneOf(chance, 4)) {
    weights = Mutated(weights);
  } else {
    spec = Changed(chance, spec);
  }
  std::string made = "p";
  made += static_cast<char>(spec.size() >> 8);
  made += static_cast<char>(spec.size());
  return made + spec + weights;
}

}  // namespace
}  // namespace tl

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max, unsigned seed) {
  using namespace tl;
  Chance chance(seed);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!bytes.starts_with('c') && !OneOf(chance, 4)) {
    if (bytes.starts_with('p') && size >= 3) {
      return Deliver(ChangedPackage(chance, bytes), data, size, max);
    }
    if (size >= 1) {
      return Deliver(bytes[0] + Changed(chance, bytes.substr(1)), data, size,
                     max);
    }
  }
  return LLVMFuzzerMutate(data, size, max);
}
