// How the emulator goes from one thread's stack to another's: in a dozen
// instructions on x86-64, by ucontext elsewhere and where a sanitizer has to
// follow. swapcontext asks the kernel for the signal mask each time, which was
// nine tenths of a test's time. Only emulator.cc includes it.
#pragma once

#include <cstddef>
#include <cstring>

#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)

#include <ucontext.h>

namespace tl::cuda::emulator {

using Context = ucontext_t;

inline void Switch(Context& left, Context& entered) {
  swapcontext(&left, &entered);
}

inline void Prepare(Context& context, std::byte* stack, size_t bytes,
                    void (*begin)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = bytes;
  context.uc_link = nullptr;
  makecontext(&context, begin, 0);
}

}  // namespace tl::cuda::emulator

#else

// Leaves a stack, noting its top in *left, for the one whose top is `entered`.
extern "C" void tl_switch_stacks(void** left, void* entered);
asm(R"(
  .text
  .type tl_switch_stacks, @function
tl_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size tl_switch_stacks, .-tl_switch_stacks
)");

namespace tl::cuda::emulator {

using Context = void*;  // the top of a stack that was left

inline void Switch(Context& left, Context& entered) {
  tl_switch_stacks(&left, entered);
}

// As if the stack had been left just before `begin` was called, which never
// returns.
inline void Prepare(Context& context, std::byte* stack, size_t bytes,
                    void (*begin)()) {
  constexpr int kRegisters = 6;
  auto** top = reinterpret_cast<void**>(stack + bytes) - 2;
  top[0] = reinterpret_cast<void*>(begin);
  top[1] = nullptr;
  std::memset(top - kRegisters, 0, kRegisters * sizeof(void*));
  context = top - kRegisters;
}

}  // namespace tl::cuda::emulator

#endif
