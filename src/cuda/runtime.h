// The card as the rest of this room sees it: memory, copies and one stream.
// runtime.cc asks CUDA, runtime_emulated.cc plays the card on the processor;
// memory.h has the blocks of both.
// Everything is in the order it was asked for, but for CopyWhenDone, which goes
// before what came after its mark, and Upload (upload.h); that, CopyFromDevice and
// Synchronize are what waits. Nothing touches CUDA before the first call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "exec/backend.h"

namespace tl::cuda {

struct DeviceInfo {
  std::string name;
  int multiprocessors = 0;
  int capability = 0;           // 90 is compute capability 9.0
  int64_t memory = 0;           // bytes
  int shared_bytes = 0;         // the most a block may ask for
};

// A driver and a card that our kernels run on. `why` where not.
struct Availability {
  bool available = false;
  std::string why;
};
const Availability& FindCard();

const DeviceInfo& Card();  // opens it; fails where there is none
// What Allocate can still give, and what this program has of it in use.
int64_t FreeMemory();
int64_t PlacedBytes();

// Uninitialised, 256-byte aligned. Fails with what was wanted, placed and free.
std::shared_ptr<std::byte> Allocate(int64_t bytes);
// For what operations at work share with those to come, some of which another thread
// may start: memory that tensors never have, unless there is a limit for both.
std::shared_ptr<std::byte> AllocateScratch(int64_t bytes);
// While it lives, Allocate of this thread is AllocateScratch: memory that has gone back
// while the thread still has to start what uses it must not be handed out to it.
class MemoryApart {
 public:
  MemoryApart();
  ~MemoryApart();
  MemoryApart(const MemoryApart&) = delete;
  MemoryApart& operator=(const MemoryApart&) = delete;

 private:
  const bool before_;
};

void CopyToDevice(std::span<const HostBytes> all);
inline void CopyToDevice(std::byte* to, const std::byte* from, int64_t bytes) {
  const HostBytes one = {to, from, bytes};
  CopyToDevice({&one, 1});
}
void CopyFromDevice(std::byte* to, const std::byte* from, int64_t bytes);
// The number of all that was asked for so far, from 1 on.
uint64_t MarkWork();
// Whether all up to the last mark is done, or has failed.
bool IsDone();
// Waits for what that number stands for and no more; 0 is done.
void CopyWhenDone(std::byte* to, const std::byte* from, int64_t bytes,
                  uint64_t mark);
void CopyOnDevice(std::byte* to, const std::byte* from, int64_t bytes);
void Fill(std::byte* to, int byte, int64_t bytes);
void Synchronize();

// When the card is done with what was asked for so far. SecondsSince is for when
// both are over.
class Moment {
 public:
  Moment();
  ~Moment();
  Moment(const Moment&) = delete;
  Moment& operator=(const Moment&) = delete;
  double SecondsSince(const Moment& begin) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

void* StreamHandle();  // the cudaStream_t of all of it
// Grows with each operation that may write to the card's memory, and others.
uint64_t WorkCount();

}  // namespace tl::cuda
