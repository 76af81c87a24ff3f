// Slots that a signal handler may walk while other threads take and return
// them: the list only grows, a slot is never freed, only used again. T holds
// atomics, and says itself whether it is in use.
#pragma once

#include <atomic>

namespace tl {

template <class T>
class SlotList {
 public:
  constexpr SlotList() = default;

  T& Acquire() {
    for (Slot* slot = head_.load(); slot != nullptr; slot = slot->next) {
      if (!slot->taken.exchange(true)) return slot->value;
    }
    auto* fresh = new Slot;
    fresh->next = head_.load();
    while (!head_.compare_exchange_weak(fresh->next, fresh)) {
    }
    return fresh->value;
  }

  void Release(T& value) {
    for (Slot* slot = head_.load(); slot != nullptr; slot = slot->next) {
      if (&slot->value == &value) slot->taken.store(false);
    }
  }

  // visit(T&) on every slot, in use or not, until it returns true.
  template <class Visit>
  void VisitUntil(Visit&& visit) {
    for (Slot* slot = head_.load(); slot != nullptr; slot = slot->next) {
      if (visit(slot->value)) return;
    }
  }

 private:
  struct Slot {
    T value;
    std::atomic<bool> taken{true};
    Slot* next = nullptr;
  };
  std::atomic<Slot*> head_{nullptr};
};

}  // namespace tl
