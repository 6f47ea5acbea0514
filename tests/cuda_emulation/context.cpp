#include "context.hpp"

#include <cstdint>

#if defined(__x86_64__)

// swapcontext would ask the kernel for the signal mask at every switch, a hundred times the cost of the rest.
extern "C" void tpbench_emulation_switch(void** from, void* to);
asm(R"(
.text
.hidden tpbench_emulation_switch
.globl tpbench_emulation_switch
.type tpbench_emulation_switch, @function
tpbench_emulation_switch:
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
.size tpbench_emulation_switch, .-tpbench_emulation_switch
)");

namespace tpbench::cuda::emulation {

void switch_context(Context& from, const Context& to) { tpbench_emulation_switch(&from, to); }

void make_context(Context& context, void* stack, std::size_t bytes, void (*entry)()) {
  constexpr std::size_t kSavedRegisters = 6;
  auto* top = reinterpret_cast<std::uintptr_t*>(static_cast<std::byte*>(stack) + bytes);
  *--top = 0;  // where a caller's address would be: the stack is aligned as after a call
  *--top = reinterpret_cast<std::uintptr_t>(entry);
  for (std::size_t i = 0; i < kSavedRegisters; ++i) *--top = 0;
  context = top;
}

}  // namespace tpbench::cuda::emulation

#else

namespace tpbench::cuda::emulation {

void switch_context(Context& from, const Context& to) { swapcontext(&from, &to); }

void make_context(Context& context, void* stack, std::size_t bytes, void (*entry)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = bytes;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
}

}  // namespace tpbench::cuda::emulation

#endif
