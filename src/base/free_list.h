// Memory for objects of one size that come and go by the thousand on one thread: what
// those that went had serves the next. For a class's own operators new and delete.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "base/sanitizer.h"

namespace tl {

// One list for each Owner and thread.
template <class Owner>
class FreeList {
 public:
  static void* New(size_t bytes) {
    void* const kept = list.Take();
    return kept ? kept : ::operator new(bytes);
  }
  static void Delete(void* memory) {
    if (!list.Keep(memory)) ::operator delete(memory);
  }

 private:
#ifdef TL_ADDRESS_SANITIZER
  static constexpr size_t kMostKept = 0;  // so that a use after the end is seen
#else
  static constexpr size_t kMostKept = 4096;
#endif
  struct Link {
    Link* next;
  };

  ~FreeList() {
    while (count_ > 0) ::operator delete(Take());
    gone_ = true;
  }
  bool Keep(void* memory) {
    if (gone_ || count_ >= kMostKept) return false;
    first_ = new (memory) Link{first_};
    ++count_;
    return true;
  }
  void* Take() {
    if (count_ == 0) return nullptr;
    --count_;
    return std::exchange(first_, first_->next);
  }

  static thread_local FreeList list;

  Link* first_ = nullptr;
  size_t count_ = 0;
  bool gone_ = false;  // at the end of the thread; some objects go later
};

template <class Owner>
thread_local FreeList<Owner> FreeList<Owner>::list;

}  // namespace tl
