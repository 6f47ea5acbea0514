#pragma once

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace tpbench::cuda::emulation {

#if defined(__x86_64__)
/// A stack pointer: what a call must leave alone lies on that stack.
using Context = void*;
#else
using Context = ucontext_t;
#endif

/// Goes on at `to`, and keeps in `from` where this was left.
void switch_context(Context& from, const Context& to);
/// `context` becomes the beginning of `entry`, which must not return, on [stack, stack + bytes).
void make_context(Context& context, void* stack, std::size_t bytes, void (*entry)());

}  // namespace tpbench::cuda::emulation
