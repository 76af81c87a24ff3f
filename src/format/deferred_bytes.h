// Bytes of a tensor that are computed when somebody asks for them: those of a
// weight that its file stores as indices into a table, say. Nothing is computed
// when a model is opened, and what is computed only to be written to another
// file is let go again. Safe from several threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>

namespace tl {

class DeferredBytes {
 public:
  // `compute` gives bytes as AllocateHost() does, the same at each call. It may
  // fail; then so does who asked.
  explicit DeferredBytes(std::function<std::shared_ptr<std::byte>()> compute)
      : compute_(std::move(compute)) {}

  // Computed by the first call and kept from then on.
  std::shared_ptr<std::byte> Keep() const {
    const std::lock_guard lock(mutex_);
    if (kept_ == nullptr) kept_ = compute_();
    return kept_;
  }

  // The kept bytes, or else computed for the caller alone.
  std::shared_ptr<std::byte> Borrow() const {
    {
      const std::lock_guard lock(mutex_);
      if (kept_ != nullptr) return kept_;
    }
    return compute_();
  }

 private:
  std::function<std::shared_ptr<std::byte>()> compute_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<std::byte> kept_;
};

}  // namespace tl
