// A vector whose first N elements need no memory of their own: for the inputs
// and attributes of an operation, which are few and made by the million.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <ranges>
#include <type_traits>
#include <utility>

namespace tl {

template <class T, size_t N>
class InlineVector {
  static_assert(std::is_nothrow_move_constructible_v<T>);

 public:
  using value_type = T;

  InlineVector() = default;
  InlineVector(std::initializer_list<T> items)
      : InlineVector(items.begin(), items.end()) {}
  template <std::forward_iterator I>
  InlineVector(I first, I last) {
    Reserve(static_cast<size_t>(std::distance(first, last)));
    for (; first != last; ++first) emplace_back(*first);
  }
  template <std::ranges::contiguous_range R>
    requires(!std::derived_from<std::remove_cvref_t<R>, InlineVector> &&
             std::same_as<std::ranges::range_value_t<R>, T>)
  InlineVector(const R& items)
      : InlineVector(std::ranges::begin(items), std::ranges::end(items)) {}
  InlineVector(const InlineVector& other)
      : InlineVector(other.begin(), other.end()) {}
  InlineVector(InlineVector&& other) noexcept { Take(other); }
  InlineVector& operator=(InlineVector other) noexcept {
    Free();
    Take(other);
    return *this;
  }
  ~InlineVector() { Free(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }

  void push_back(T item) { emplace_back(std::move(item)); }
  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == capacity_) Reserve(2 * size_t{capacity_});
    return *std::construct_at(data_ + size_++, std::forward<Args>(args)...);
  }
  void pop_back() { std::destroy_at(data_ + --size_); }
  void insert(const T* at, std::initializer_list<T> items) {
    const ptrdiff_t position = at - data_;
    const size_t before = size_;
    for (const T& item : items) emplace_back(item);
    std::rotate(begin() + position, begin() + before, end());
  }
  void clear() {
    std::destroy_n(data_, size_);
    size_ = 0;
  }

  friend bool operator==(const InlineVector& a, const InlineVector& b) {
    return std::ranges::equal(a, b);
  }

 private:
  T* inside() { return reinterpret_cast<T*>(inside_); }

  void Reserve(size_t capacity) {
    if (capacity <= capacity_) return;
    T* const data = std::allocator<T>().allocate(capacity);
    std::uninitialized_move_n(data_, size_, data);
    std::destroy_n(data_, size_);
    FreeMemory();
    data_ = data;
    capacity_ = static_cast<uint32_t>(capacity);
  }

  // This holds nothing yet.
  void Take(InlineVector& other) {
    if (other.data_ != other.inside()) {
      data_ = std::exchange(other.data_, other.inside());
      capacity_ = std::exchange(other.capacity_, N);
    } else {
      data_ = inside();
      capacity_ = N;
      std::uninitialized_move_n(other.data_, other.size_, data_);
      std::destroy_n(other.data_, other.size_);
    }
    size_ = std::exchange(other.size_, 0);
  }

  void Free() {
    std::destroy_n(data_, size_);
    FreeMemory();
  }

  void FreeMemory() {
    if (data_ != inside()) std::allocator<T>().deallocate(data_, capacity_);
  }

  T* data_ = inside();
  uint32_t size_ = 0;
  uint32_t capacity_ = N;
  alignas(T) std::byte inside_[N * sizeof(T)];
};

}  // namespace tl
