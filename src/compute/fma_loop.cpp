// Built with -O2 and contraction in every build type (src/CMakeLists.txt): a loop that spills its registers
// measures the stack.
#include "compute/fma_loop.hpp"

#include <cstddef>

#include "base/error.hpp"
#include "compute/blas_kernels.hpp"

namespace tpbench {
namespace {

// A multiply-add takes 4 or 5 cycles and two can begin in each: ten chains keep them busy. With the two
// factors they fit the 16 registers of AVX2.
constexpr int kChains = 12;

// Nobody can know them when this is compiled. Values settle at chain_addend / (1 - chain_factor).
volatile double chain_factor = 0.5, chain_addend = 1;

template <typename T, std::size_t kBytes>
struct VectorOf {
  using Type [[gnu::vector_size(kBytes)]] = T;
};

template <typename T, std::size_t kBytes>
[[gnu::always_inline]] inline double chains(std::int64_t rounds) {
  using Vector = typename VectorOf<T, kBytes>::Type;
  constexpr std::size_t kLanes = kBytes / sizeof(T);
  const Vector multiply = Vector{} + static_cast<T>(chain_factor),
               add = Vector{} + static_cast<T>(chain_addend);
  Vector chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = add * static_cast<T>(i);
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chain[i] = chain[i] * multiply + add;
  }
  Vector sum = chain[0];
  for (int i = 1; i < kChains; ++i) sum += chain[i];
  double total = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) total += static_cast<double>(sum[lane]);
  return total;
}

struct Row {
  std::size_t bytes;
  double (*run_f32)(std::int64_t);
  double (*run_f64)(std::int64_t);
};

// One function for each set of instructions: the compiler may use them in nothing else.
#if defined(__x86_64__)
[[gnu::target("avx512f")]] double avx512_f32(std::int64_t rounds) { return chains<float, 64>(rounds); }
[[gnu::target("avx512f")]] double avx512_f64(std::int64_t rounds) { return chains<double, 64>(rounds); }
[[gnu::target("avx2,fma")]] double avx2_f32(std::int64_t rounds) { return chains<float, 32>(rounds); }
[[gnu::target("avx2,fma")]] double avx2_f64(std::int64_t rounds) { return chains<double, 32>(rounds); }
[[gnu::target("avx")]] double avx_f32(std::int64_t rounds) { return chains<float, 32>(rounds); }
[[gnu::target("avx")]] double avx_f64(std::int64_t rounds) { return chains<double, 32>(rounds); }
#endif
// SSE; on other architectures what every one of their CPUs has (NEON: with FMA).
double plain_f32(std::int64_t rounds) { return chains<float, 16>(rounds); }
double plain_f64(std::int64_t rounds) { return chains<double, 16>(rounds); }

Row choose() {
#if defined(__x86_64__)
  switch (read_cpu_vectors().value_or(CpuVectors{}).widest) {
    case Vectors::avx512:
      return {64, avx512_f32, avx512_f64};
    case Vectors::avx2:
      return {32, avx2_f32, avx2_f64};
    case Vectors::avx:
      return {32, avx_f32, avx_f64};
    case Vectors::sse:
      break;
  }
#endif
  return {16, plain_f32, plain_f64};
}

const Row& widest() {
  static const Row row = choose();
  return row;
}

}  // namespace

double fma_loop_flop(DType dtype, std::int64_t rounds) {
  const double lanes = static_cast<double>(widest().bytes) / static_cast<double>(size_of(dtype));
  return 2.0 * kChains * lanes * static_cast<double>(rounds);
}

double run_fma_loop(DType dtype, std::int64_t rounds) {
  return dtype == DType::f64 ? widest().run_f64(rounds) : widest().run_f32(rounds);
}

}  // namespace tpbench
