#pragma once

/// Marks a function with a plain loop to be compiled once per instruction set and chosen when the program
/// starts, so that one binary runs everywhere and is fast where it can be. Elsewhere, and under sanitizers,
/// which cannot see through the choice, it is an ordinary function.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(TPBENCH_SANITIZED)
#define TPBENCH_VECTORISE \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define TPBENCH_VECTORISE
#endif
