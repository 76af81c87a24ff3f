// Maps of the language: keys are strings, ints or bools, and stay in the order
// in which they came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "interp/value.h"

namespace tl {

struct MapEntry {
  Value key;
  Value value;
};

struct MapObject : Object {
  MapObject() : Object(Tag::kMap) {}
  MapObject(const MapObject& other);

  // Null if there is no such key. Fails if the key is of another kind.
  const Value* Find(const Value& key) const;
  // Null if there is no such name.
  const Value* Find(std::string_view name) const;
  // The value under the key, none at first.
  Value& At(const Value& key);
  bool Remove(const Value& key);

  size_t size() const { return entries_.size(); }
  const std::vector<MapEntry>& entries() const { return entries_; }
  void Clear();
  // Moves all entries out, for whoever takes the map apart.
  std::vector<MapEntry> TakeEntries() { return std::move(entries_); }

 private:
  static constexpr size_t kNotFound = ~size_t{0};

  // Where the entry is that `is_key` says yes to; `hash` is asked where it is wanted.
  template <class HashOf, class IsKey>
  size_t Position(HashOf hash, IsKey is_key) const;
  size_t Position(const Value& key, uint64_t hash) const;
  void Index(size_t position, uint64_t hash);
  void Rebuild(size_t slots);

  std::vector<MapEntry> entries_;
  // Positions + 1 in open addressing (0 is free); empty while the map is so
  // small that looking at every entry is as fast.
  std::vector<uint32_t> slots_;
};

inline const MapObject& Value::as_map() const {
  return *static_cast<MapObject*>(bits_.object);
}

}  // namespace tl
