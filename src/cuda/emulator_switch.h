// How the emulator goes from one thread's stack to another's: in a dozen
// instructions on x86-64, by ucontext elsewhere. swapcontext asks the kernel for
// the signal mask each time, which was nine tenths of a test's time.
// AddressSanitizer is told of each change. Only emulator.cc includes it.
#pragma once

#include <cstddef>
#include <cstring>

#ifdef __x86_64__

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

using Registers = void*;  // the top of a stack that was left

inline void SwitchRegisters(Registers& left, Registers& entered) {
  tl_switch_stacks(&left, entered);
}

// As if the stack had been left just before `begin` was called, which never
// returns.
inline void PrepareRegisters(Registers& registers, std::byte* stack,
                             size_t bytes, void (*begin)()) {
  constexpr int kRegisters = 6;
  auto** top = reinterpret_cast<void**>(stack + bytes) - 2;
  top[0] = reinterpret_cast<void*>(begin);
  top[1] = nullptr;
  std::memset(top - kRegisters, 0, kRegisters * sizeof(void*));
  registers = top - kRegisters;
}

}  // namespace tl::cuda::emulator

#else

#include <ucontext.h>

namespace tl::cuda::emulator {

using Registers = ucontext_t;

inline void SwitchRegisters(Registers& left, Registers& entered) {
  swapcontext(&left, &entered);
}

inline void PrepareRegisters(Registers& registers, std::byte* stack,
                             size_t bytes, void (*begin)()) {
  getcontext(&registers);
  registers.uc_stack.ss_sp = stack;
  registers.uc_stack.ss_size = bytes;
  registers.uc_link = nullptr;
  makecontext(&registers, begin, 0);
}

}  // namespace tl::cuda::emulator

#endif

#include "base/sanitizer.h"

#ifdef TL_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif

namespace tl::cuda::emulator {

struct Context {
  Registers registers;
  const void* stack = nullptr;
  size_t stack_bytes = 0;
  // AddressSanitizer's: where it puts the frames that it watches. Left to who
  // is next on the stack, since making the place takes longer than most threads.
  void* frames = nullptr;
};

inline void Prepare(Context& context, std::byte* stack, size_t bytes,
                    void (*begin)()) {
  PrepareRegisters(context.registers, stack, bytes, begin);
  context.stack = stack;
  context.stack_bytes = bytes;
}

#ifdef TL_ADDRESS_SANITIZER

inline Context* last_left = nullptr;

inline void Switch(Context& left, Context& entered) {
  last_left = &left;
  __sanitizer_start_switch_fiber(&left.frames, entered.stack,
                                 entered.stack_bytes);
  SwitchRegisters(left.registers, entered.registers);
  __sanitizer_finish_switch_fiber(left.frames, nullptr, nullptr);
}

// The first thing on a stack. Where the one lies that was left is told here, which
// nobody else says of the host's.
inline void Begin(Context& self) {
  __sanitizer_finish_switch_fiber(self.frames, &last_left->stack,
                                  &last_left->stack_bytes);
}

#else

inline void Switch(Context& left, Context& entered) {
  SwitchRegisters(left.registers, entered.registers);
}
inline void Begin(Context&) {}

#endif

}  // namespace tl::cuda::emulator
