#ifndef TL_CUDA_EMULATED

#include "cuda/staging.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "base/file.h"
#include "base/parallel.h"
#include "cuda/check.h"
#include "cuda/dispatch.h"

namespace tl::cuda {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;
constexpr int64_t kPieces = 32;
constexpr int64_t kFewestBytes = int64_t{256} << 10;  // worth a copy of its own
constexpr int64_t kPageBytes = 4096;
constexpr int64_t kLargePage = int64_t{2} << 20;

// Pieces of one size, as many for each thread: one that has one more keeps all
// others waiting at the end.
int64_t BytesOfPiece(int64_t bytes) {
  const int64_t threads = Threads();
  const int64_t pieces = CeilDiv(bytes, threads * kPieceBytes) * threads;
  const int64_t even = CeilDiv(CeilDiv(bytes, pieces), kPageBytes) * kPageBytes;
  return std::clamp(even, kFewestBytes, kPieceBytes);
}

// The system fills new pages with zeros, which takes several times as long as pinning
// them: each thread has some made.
void Touch(void* memory, int64_t bytes) {
  auto* const at = static_cast<volatile char*>(memory);
  ParallelFor(bytes, kLargePage, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kPageBytes) at[i] = 0;
  });
}

// Pinning takes work for each page, so large ones are asked for. Where memory of
// our own cannot be pinned, CUDA's is.
std::byte* AllocatePinned(int64_t bytes) {
  const auto size = static_cast<size_t>(bytes);
  if (void* memory = std::aligned_alloc(kLargePage, size)) {
    madvise(memory, size, MADV_HUGEPAGE);
    Touch(memory, bytes);
    if (cudaHostRegister(memory, size, cudaHostRegisterDefault) == cudaSuccess) {
      return static_cast<std::byte*>(memory);
    }
    cudaGetLastError();
    std::free(memory);
  }
  void* memory = nullptr;
  Check(cudaHostAlloc(&memory, size, cudaHostAllocDefault), "pinned memory");
  return static_cast<std::byte*>(memory);
}

// Pieces of pinned memory, made at the first large copy and kept. Threads fill them
// and send them off, each for itself.
class Pieces {
 public:
  struct Piece {
    std::byte* memory;
    cudaEvent_t fetched;
  };

  Pieces() {
    std::byte* memory = AllocatePinned(kPieceBytes * kPieces);
    for (int64_t i = 0; i < kPieces; ++i) {
      Piece piece = {memory + i * kPieceBytes, nullptr};
      Check(cudaEventCreateWithFlags(&piece.fetched, cudaEventDisableTiming),
            "cudaEventCreate");
      sent_.push_back(piece);
    }
  }

  // The one that was sent first, when the card is done with what was in it.
  Piece Take() {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [&] { return !sent_.empty(); });
    const Piece piece = sent_.front();
    sent_.pop_front();
    lock.unlock();
    Check(cudaEventSynchronize(piece.fetched), "copy to the GPU");
    return piece;
  }
  void Send(const Piece& piece, std::byte* to, int64_t bytes,
            cudaStream_t stream) {
    Check(cudaMemcpyAsync(to, piece.memory, bytes, cudaMemcpyHostToDevice, stream),
          "copy to the GPU");
    Check(cudaEventRecord(piece.fetched, stream), "cudaEventRecord");
    {
      const std::lock_guard lock(mutex_);
      sent_.push_back(piece);
    }
    returned_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable returned_;
  std::deque<Piece> sent_;
};

// From the file rather than from its mapping: no page of it needs to be entered
// into this process's tables. What the file cannot give comes from the mapping,
// which knows what to say of a file that shrank.
void Read(std::byte* to, const std::byte* from, int64_t bytes,
          const MappedFile* file) {
  if (file) {
    const int64_t offset = from - file->bytes().data();
    if (pread(file->descriptor(), to, bytes, offset) == bytes) return;
  }
  std::memcpy(to, from, bytes);
}

}  // namespace

void StageToDevice(std::span<const HostBytes> all, cudaStream_t stream) {
  static Pieces& pieces = *new Pieces;
  struct Part {
    HostBytes bytes;
    const MappedFile* file;
  };
  int64_t total = 0;
  for (const HostBytes& one : all) total += one.bytes;
  if (total == 0) return;
  const int64_t most = BytesOfPiece(total);
  std::vector<std::shared_ptr<const MappedFile>> files;
  std::vector<Part> parts;
  for (const HostBytes& one : all) {
    files.push_back(MappedFile::Containing(one.from));
    for (int64_t at = 0; at < one.bytes; at += most) {
      parts.push_back({{one.to + at, one.from + at, std::min(most, one.bytes - at)},
                       files.back().get()});
    }
  }
  ParallelFor(std::ssize(parts), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto& [bytes, file] = parts[i];
      const Pieces::Piece piece = pieces.Take();
      Read(piece.memory, bytes.from, bytes.bytes, file);
      pieces.Send(piece, bytes.to, bytes.bytes, stream);
    }
  });
}

}  // namespace tl::cuda

#endif  // TL_CUDA_EMULATED
