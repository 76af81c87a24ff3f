// Where in a list a name is. Open addressing over 32-bit hashes: models have up
// to 100,000 tensors, and building this takes a third of the time of a
// std::unordered_map, which is most of what opening such a model costs.
// The names stay in the list; lookups get a way to read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace tl {

class NameIndex {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};

  void Clear() {
    slots_.clear();
    used_ = 0;
  }

  // Room for `count` names.
  void Reserve(size_t count) {
    if (count * 2 > slots_.size()) Grow(count * 2);
  }

  // The position of `name`, or kNone. name_at(position) reads the list.
  template <class NameAt>
  uint32_t Find(std::string_view name, NameAt&& name_at) const {
    if (slots_.empty()) return kNone;
    const uint32_t hash = Hash(name);
    for (size_t i = hash & Mask();; i = (i + 1) & Mask()) {
      const Slot& slot = slots_[i];
      if (slot.position == kNone) return kNone;
      if (slot.hash == hash && name_at(slot.position) == name) {
        return slot.position;
      }
    }
  }

  // `name` must not be there yet.
  void Insert(std::string_view name, uint32_t position) {
    Reserve(++used_);
    Put({Hash(name), position});
  }

 private:
  struct Slot {
    uint32_t hash = 0;
    uint32_t position = kNone;
  };

  static uint32_t Hash(std::string_view name) {
    const uint64_t hash = std::hash<std::string_view>()(name);
    return static_cast<uint32_t>(hash ^ hash >> 32);
  }

  size_t Mask() const { return slots_.size() - 1; }

  void Put(Slot slot) {
    size_t i = slot.hash & Mask();
    while (slots_[i].position != kNone) i = (i + 1) & Mask();
    slots_[i] = slot;
  }

  void Grow(size_t at_least) {
    size_t size = 16;
    while (size < at_least) size *= 2;
    std::vector<Slot> old(size);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.position != kNone) Put(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  size_t used_ = 0;
};

}  // namespace tl
