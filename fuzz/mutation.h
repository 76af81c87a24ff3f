// What the mutators of files with a structure share: they take a file apart,
// change one part, and put it together so that the counts and sizes around the
// part are right again. A reader refuses most of what libFuzzer's own mutations
// make of a file at its first number.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max);

namespace tl {

using Chance = std::minstd_rand;

inline bool OneOf(Chance& chance, unsigned count) {
  return chance() % count == 0;
}

template <class T>
T& AnyOf(Chance& chance, std::vector<T>& all) {
  return all[chance() % all.size()];
}

// As libFuzzer changes bytes, with at most `room` more of them.
inline std::string Mutated(std::string_view bytes, size_t room = 64) {
  std::string made(bytes);
  made.resize(bytes.size() + room);
  if (made.empty()) return made;
  made.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(made.data()),
                               bytes.size(), made.size()));
  return made;
}

// A number that readers get wrong, or one beside what is there.
inline uint64_t HostileNumber(Chance& chance, uint64_t now) {
  constexpr int kPowers[] = {7, 8, 15, 16, 31, 32, 59, 60, 61, 62, 63};
  const uint64_t power = uint64_t{1} << kPowers[chance() % std::size(kPowers)];
  switch (chance() % 8) {
    case 0:
      return now + 1;
    case 1:
      return now - 1;
    case 2:
      return now * 2;
    case 3:
      return chance() % 8;
    case 4:
      return power;
    case 5:
      return power - 1;
    case 6:
      return 0 - power;
    default:
      return ~uint64_t{0};
  }
}

// Leaves one out, has one twice, or two in each other's place.
template <class T>
void Reorder(Chance& chance, std::vector<T>& all) {
  if (all.empty()) return;
  const size_t one = chance() % all.size(), other = chance() % all.size();
  switch (chance() % 3) {
    case 0:
      all.erase(all.begin() + one);
      return;
    case 1: {
      T twice = all[one];
      all.insert(all.begin() + other, std::move(twice));
      return;
    }
    default:
      std::swap(all[one], all[other]);
  }
}

// What a mutator returns: the new input in the place of the old.
inline size_t Deliver(std::string_view made, uint8_t* data, size_t size,
                      size_t max) {
  if (made.size() > max) return LLVMFuzzerMutate(data, size, max);
  std::memcpy(data, made.data(), made.size());
  return made.size();
}

}  // namespace tl
