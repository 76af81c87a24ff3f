// Small things that the host makes for the very next launch: they are on the card before
// the work in front of that launch is done, rather than behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace tl::cuda {

class Upload {
 public:
  Upload();
  ~Upload();

  // A copy of the bytes in device memory, for what is launched before Launched.
  const std::byte* Put(const std::byte* from, int64_t bytes);
  void Launched();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tl::cuda
