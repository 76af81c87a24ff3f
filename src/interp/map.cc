#include "interp/map.h"

#include "base/error.h"
#include "base/hash.h"

namespace tl {
namespace {

// Below this many entries a walk is as fast as a hash.
constexpr size_t kSmall = 8;

uint64_t Hash(const Value& key) {
  if (key.is_string()) return HashText(key.as_string());
  if (key.is_int() || key.is_bool()) {
    return HashWord(0, static_cast<uint64_t>(key.as_int()));
  }
  Fail(ErrorKind::kProgram,
       "a {} cannot be a map's key; a string, an int or a bool can",
       TypeName(key));
}

bool SameKey(const Value& a, const Value& b) {
  if (a.tag() != b.tag()) return false;
  return a.is_string() ? a.as_string() == b.as_string()
                       : a.as_int() == b.as_int();
}

}  // namespace

MapObject::MapObject(const MapObject& other)
    : Object(Tag::kMap), entries_(other.entries_), slots_(other.slots_) {}

template <class HashOf, class IsKey>
size_t MapObject::Position(HashOf hash, IsKey is_key) const {
  if (slots_.empty()) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (is_key(entries_[i].key)) return i;
    }
    return kNotFound;
  }
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash() & mask;; i = (i + 1) & mask) {
    if (slots_[i] == 0) return kNotFound;
    const size_t position = slots_[i] - 1;
    if (is_key(entries_[position].key)) return position;
  }
}

size_t MapObject::Position(const Value& key, uint64_t hash) const {
  return Position([hash] { return hash; },
                  [&](const Value& other) { return SameKey(other, key); });
}

void MapObject::Index(size_t position, uint64_t hash) {
  const size_t mask = slots_.size() - 1;
  size_t i = hash & mask;
  while (slots_[i] != 0) i = (i + 1) & mask;
  slots_[i] = static_cast<uint32_t>(position + 1);
}

void MapObject::Rebuild(size_t slots) {
  slots_.assign(slots, 0);
  for (size_t i = 0; i < entries_.size(); ++i) Index(i, Hash(entries_[i].key));
}

const Value* MapObject::Find(const Value& key) const {
  const size_t position = Position(key, Hash(key));
  return position == kNotFound ? nullptr : &entries_[position].value;
}

const Value* MapObject::Find(std::string_view name) const {
  const size_t position = Position([&] { return HashText(name); },
                                   [&](const Value& key) {
    return key.is_string() && key.as_string() == name;
  });
  return position == kNotFound ? nullptr : &entries_[position].value;
}

Value& MapObject::At(const Value& key) {
  const uint64_t hash = Hash(key);
  const size_t position = Position(key, hash);
  if (position != kNotFound) return entries_[position].value;
  if (entries_.size() >= UINT32_MAX - 1) {
    Fail(ErrorKind::kProgram, "a map cannot have more than {} entries",
         entries_.size());
  }
  entries_.push_back({key, Value()});
  // At most half full, so that walks stay short.
  if (entries_.size() > kSmall && entries_.size() * 2 > slots_.size()) {
    Rebuild(std::max<size_t>(4 * kSmall, slots_.size() * 2));
  } else if (!slots_.empty()) {
    Index(entries_.size() - 1, hash);
  }
  return entries_.back().value;
}

bool MapObject::Remove(const Value& key) {
  const size_t position = Position(key, Hash(key));
  if (position == kNotFound) return false;
  entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(position));
  // Everything behind has moved; removal is rare enough to pay for it.
  if (!slots_.empty()) Rebuild(slots_.size());
  return true;
}

void MapObject::Clear() {
  entries_.clear();
  slots_.clear();
}

}  // namespace tl
