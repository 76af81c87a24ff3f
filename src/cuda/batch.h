// Operations that another thread will start, with copies of what their arguments
// point to. Attributes and programs are not copied: whoever hands the batch over says
// what keeps them.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cuda/engine.h"

namespace tl::cuda {

class Batch {
 public:
  void Add(OpId op, const KernelArgs& args);
  void AddCopyIn(std::byte* to, const std::byte* from, int64_t bytes);

  void RunOn(Engine& engine) const;
  void Clear();

  Ticket ticket = 0;
  std::shared_ptr<const void> kept;
  std::span<const std::byte> scratch;  // whose bytes nobody asks for after it

 private:
  struct Item {
    OpId op;
    KernelArgs args;  // whose views and numbers are the next of these
    std::byte* to;    // of a copy, the bytes of which are the next
    int64_t bytes;
  };

  std::vector<Item> items_;
  std::vector<View> views_;
  std::vector<double> numbers_;
  std::vector<std::byte> bytes_;
};

}  // namespace tl::cuda
