// How the warps of a block hand data to each other without stopping: barriers in
// shared memory that count arrivals and bytes (PTX `mbarrier`), copies from
// device memory that arrive at them by themselves (`cp.async.bulk`), barriers
// over some of a block's warps, and one over all blocks of a launch that runs
// them together. sm_90 and later. Source: PTX ISA 8.x, "Asynchronous barriers"
// and "Data movement: bulk copies".
#pragma once

#include "cuda/device.cuh"

#ifdef TL_CUDA_EMULATED
#include <chrono>
#endif

namespace tl::cuda {

#ifdef TL_CUDA_EMULATED

struct Mbarrier {
  int count, pending;
  int64_t bytes;
  unsigned phase;
};

namespace emulator {
inline void Settle(Mbarrier& barrier) {
  if (barrier.pending > 0 || barrier.bytes != 0) return;
  barrier.pending = barrier.count;
  ++barrier.phase;
}
}  // namespace emulator

TL_DEVICE void Init(Mbarrier* barrier, int count) {
  *barrier = {count, count, 0, 0};
}
TL_DEVICE void FenceInit() {}
TL_DEVICE void FenceBulk() {}
TL_DEVICE void Arrive(Mbarrier* barrier) {
  --barrier->pending;
  emulator::Settle(*barrier);
}
TL_DEVICE void ArriveExpecting(Mbarrier* barrier, uint32_t bytes) {
  barrier->bytes += bytes;
  Arrive(barrier);
}
TL_DEVICE void WaitPhase(Mbarrier* barrier, unsigned parity) {
  while ((barrier->phase & 1) == parity) emulator::Yield();
}
TL_DEVICE void BulkCopy(void* shared, const void* global, uint32_t bytes,
                        Mbarrier* barrier) {
  std::memcpy(shared, global, bytes);
  barrier->bytes -= bytes;
  emulator::Settle(*barrier);
}
TL_DEVICE void BulkCopyOnce(void* shared, const void* global, uint32_t bytes,
                            Mbarrier* barrier) {
  BulkCopy(shared, global, bytes, barrier);
}
TL_DEVICE void SyncThreads(int id, int threads) {
  emulator::SyncSome(id, threads);
}
TL_DEVICE int ThreadAgain() { return static_cast<int>(threadIdx.x); }
TL_DEVICE uint64_t GlobalTime() {
  return static_cast<uint64_t>(
      std::chrono::steady_clock::now().time_since_epoch().count());
}
template <int>
TL_DEVICE void GiveRegisters() {}
template <int>
TL_DEVICE void TakeRegisters() {}
TL_DEVICE void WaitForLaunchBefore() {}
TL_DEVICE void LetNextLaunchBegin() {}
TL_DEVICE void ArriveAtGrid(unsigned* counter) { ++*counter; }
TL_DEVICE unsigned CountIn(unsigned* counter) { return (*counter)++; }
TL_DEVICE void StoreRelaxed(uint32_t* to, uint32_t value) { *to = value; }
TL_DEVICE uint4 LoadRelaxed(const uint4* from) { return *from; }
TL_DEVICE void StoreRelaxed(uint4* to, const uint4& words) { *to = words; }
TL_DEVICE uint4 LoadRelaxedPairs(const uint4* from) { return *from; }
TL_DEVICE void LookAgain() { emulator::Yield(); }
TL_DEVICE bool GridReached(const unsigned* counter, unsigned target) {
  if (static_cast<int>(*counter - target) >= 0) return true;
  emulator::Yield();
  return false;
}

#else

using Mbarrier = unsigned long long;

TL_DEVICE uint32_t SharedAddress(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}
// Before sm_90 nothing calls these; they are compiled all the same.
TL_DEVICE void Init(Mbarrier* barrier, int count) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;"
               :: "r"(SharedAddress(barrier)), "r"(count));
#endif
}
// Makes the barriers that were made visible to bulk copies.
TL_DEVICE void FenceInit() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
// Makes what this thread knows of by now, in device memory, visible to bulk copies.
TL_DEVICE void FenceBulk() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.global;" ::: "memory");
#endif
}
TL_DEVICE void Arrive(Mbarrier* barrier) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];"
               :: "r"(SharedAddress(barrier)) : "memory");
#endif
}
TL_DEVICE void ArriveExpecting(Mbarrier* barrier, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
               :: "r"(SharedAddress(barrier)), "r"(bytes) : "memory");
#endif
}
// Returns once the phase of this parity is over.
TL_DEVICE void WaitPhase(Mbarrier* barrier, unsigned parity) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra over;\n"
      "bra again;\n"
      "over:\n"
      "}\n" :: "r"(SharedAddress(barrier)), "r"(parity) : "memory");
#endif
}
// Addresses and bytes are multiples of 16.
TL_DEVICE void BulkCopy(void* shared, const void* global, uint32_t bytes,
                        Mbarrier* barrier) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1], %2, [%3];"
      :: "r"(SharedAddress(shared)), "l"(global), "r"(bytes),
         "r"(SharedAddress(barrier)) : "memory");
#endif
}
// Of what is not read again soon: the second-level cache keeps other things.
TL_DEVICE void BulkCopyOnce(void* shared, const void* global, uint32_t bytes,
                            Mbarrier* barrier) {
#if __CUDA_ARCH__ >= 900
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1], %2, [%3], %4;"
      :: "r"(SharedAddress(shared)), "l"(global), "r"(bytes),
         "r"(SharedAddress(barrier)), "l"(policy) : "memory");
#endif
}
TL_DEVICE void SyncThreads(int id, int threads) {
  asm volatile("bar.sync %0, %1;" :: "r"(id), "r"(threads) : "memory");
}
// threadIdx.x, read again: what is computed from it is not kept from before.
TL_DEVICE int ThreadAgain() {
  int thread;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return thread;
}
// Nanoseconds of the card's clock.
TL_DEVICE uint64_t GlobalTime() {
  uint64_t time;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
  return time;
}
// Registers of a thread from here on, by all of four warps at once: some give
// what others take. Where the instruction is not there they keep what they have.
template <int kCount>
TL_DEVICE void GiveRegisters() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(kCount));
#endif
}
template <int kCount>
TL_DEVICE void TakeRegisters() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(kCount));
#endif
}
// Of launches that overlap: what the one in front stored is there, and all before it.
TL_DEVICE void WaitForLaunchBefore() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
// The next one, if it overlaps, may begin once all blocks have said so.
TL_DEVICE void LetNextLaunchBegin() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
TL_DEVICE void ArriveAtGrid(unsigned* counter) {
  asm volatile("red.release.gpu.global.add.u32 [%0], 1;"
               :: "l"(counter) : "memory");
}
// Words that other multiprocessors see, or have written, each for itself.
TL_DEVICE void StoreRelaxed(uint32_t* to, uint32_t value) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;"
               :: "l"(to), "r"(value) : "memory");
}
TL_DEVICE uint4 LoadRelaxed(const uint4* from) {
  uint4 words;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
               : "l"(from) : "memory");
  return words;
}
// The same of two pairs of words, each pair for itself.
TL_DEVICE void StoreRelaxed(uint4* to, const uint4& words) {
  const uint64_t first = words.x | uint64_t{words.y} << 32;
  const uint64_t second = words.z | uint64_t{words.w} << 32;
  asm volatile("st.relaxed.gpu.global.v2.b64 [%0], {%1, %2};"
               :: "l"(to), "l"(first), "l"(second) : "memory");
}
TL_DEVICE uint4 LoadRelaxedPairs(const uint4* from) {
  uint64_t first, second;
  asm volatile("ld.relaxed.gpu.global.v2.b64 {%0, %1}, [%2];"
               : "=l"(first), "=l"(second) : "l"(from) : "memory");
  return make_uint4(static_cast<uint32_t>(first), static_cast<uint32_t>(first >> 32),
                    static_cast<uint32_t>(second),
                    static_cast<uint32_t>(second >> 32));
}
// Between two looks at words that are not there yet.
TL_DEVICE void LookAgain() {}
// How many came before. What those wrote can be read then, and what this thread
// knows of by those that come later.
TL_DEVICE unsigned CountIn(unsigned* counter) {
  unsigned before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;"
               : "=r"(before) : "l"(counter) : "memory");
  return before;
}
TL_DEVICE bool GridReached(const unsigned* counter, unsigned target) {
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
               : "=r"(value) : "l"(counter) : "memory");
  return static_cast<int>(value - target) >= 0;
}

#endif

}  // namespace tl::cuda
