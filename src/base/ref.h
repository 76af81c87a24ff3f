// An intrusive, non-atomic reference count and the pointer that keeps it.
// Graph nodes and program values belong to one thread (the interpreter's), and
// are made by the million: one allocation, no atomic operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace tl {

class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;
  virtual ~RefCounted() = default;

  void Retain() const { ++count_; }
  void Release() const {
    if (--count_ == 0) const_cast<RefCounted*>(this)->Destroy();
  }
  uint32_t use_count() const { return count_; }

 protected:
  // Called when the last reference goes. Types that form long chains override
  // it to release them without recursion.
  virtual void Destroy() { delete this; }

 private:
  mutable uint32_t count_ = 0;
};

template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* pointer) : pointer_(pointer) {
    if (pointer_) pointer_->Retain();
  }
  Ref(const Ref& other) : Ref(other.pointer_) {}
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) {}
  template <class U>
    requires(std::is_convertible_v<U*, T*>)
  Ref(const Ref<U>& other) : Ref(static_cast<T*>(other.get())) {}
  template <class U>
    requires(std::is_convertible_v<U*, T*>)
  Ref(Ref<U>&& other) noexcept : pointer_(other.release()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(pointer_, other.pointer_);
    return *this;
  }
  ~Ref() {
    if (pointer_) pointer_->Release();
  }

  T* get() const { return pointer_; }
  T* operator->() const { return pointer_; }
  T& operator*() const { return *pointer_; }
  explicit operator bool() const { return pointer_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) {
    return a.pointer_ == b.pointer_;
  }

  // Gives up ownership without releasing.
  T* release() { return std::exchange(pointer_, nullptr); }

 private:
  T* pointer_ = nullptr;
};

template <class T, class... Args>
Ref<T> MakeRef(Args&&... args) {
  return Ref<T>(new T(std::forward<Args>(args)...));
}

}  // namespace tl
