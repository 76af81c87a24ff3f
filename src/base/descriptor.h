// A file descriptor that is closed unless released.
#pragma once

#include <unistd.h>

#include <utility>

namespace tl {

class Descriptor {
 public:
  // Negative: none, as open(2) returns it.
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  int Release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

}  // namespace tl
