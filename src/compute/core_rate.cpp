#include "compute/core_rate.hpp"

#include <cblas.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/units.hpp"
#include "compute/cpu_backend.hpp"
#include "compute/fma_loop.hpp"
#include "tensor/memory_limit.hpp"

namespace tpbench {
namespace {

// Three matrices that lie in the second-level cache: memory and neighbours have little to say.
constexpr blasint kSize = 256;
constexpr int kTries = 7;

template <typename Work>
double seconds_of(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void multiply(const std::vector<float>& a, std::vector<float>& c) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kSize, kSize, kSize, 1, a.data(), kSize, a.data(),
              kSize, 0, c.data(), kSize);
}
void multiply(const std::vector<double>& a, std::vector<double>& c) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kSize, kSize, kSize, 1, a.data(), kSize, a.data(),
              kSize, 0, c.data(), kSize);
}

// Of a product of such matrices, and of the loop in `dtype`.
template <typename Product>
CoreRate measure_rate(DType dtype, const Product& multiply) {
  constexpr std::int64_t kRounds = 20000;
  volatile double sink = 0;
  double gemm_s = 1e300, loop_s = 1e300;
  multiply();
  for (int i = 0; i < kTries; ++i) {
    loop_s = std::min(loop_s, seconds_of([&] { sink = run_fma_loop(dtype, kRounds); }));
    gemm_s = std::min(gemm_s, seconds_of(multiply));
  }
  constexpr double kGemmFlop = 2.0 * kSize * kSize * kSize;
  return {kGemmFlop / gemm_s / 1e9, fma_loop_flop(dtype, kRounds) / loop_s / 1e9};
}

template <typename T>
CoreRate measure(DType dtype) {
  const std::vector<T> a(static_cast<std::size_t>(kSize) * kSize, T(0.5));
  std::vector<T> c(a.size());
  return measure_rate(dtype, [&] { multiply(a, c); });
}

Json rate_to_json(const CoreRate& rate) {
  return {{"gemm_gflops", rate.gemm_gflops}, {"loop_gflops", rate.loop_gflops}};
}
CoreRate rate_from_json(const Json& json) {
  return {json.at("gemm_gflops").get<double>(), json.at("loop_gflops").get<double>()};
}

// OpenBLAS's BUFFER_SIZE on 64-bit machines (common_x86_64.h, common_arm64.h), and a stack for each thread
// that this program starts beside: the others of a pool of `threads`, one that watches, one that may
// communicate.
std::size_t bytes_to_start(int threads) {
  constexpr std::size_t kBuffer = std::size_t{128} << 20, kUsualStack = std::size_t{8} << 20;
  struct rlimit stack {};
  const bool known = getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur != RLIM_INFINITY;
  return kBuffer + static_cast<std::size_t>(threads + 1) * (known ? stack.rlim_cur : kUsualStack);
}

std::optional<std::string> find_why_blas_cannot_start(int threads) {
  const std::size_t bytes = bytes_to_start(threads);
  void* const room = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room != MAP_FAILED) {
    munmap(room, bytes);
    return std::nullopt;
  }
  const std::string words = std::strerror(errno);
  const std::optional<MemoryLimit> limit = tightest_memory_limit();
  const std::string why = limit && static_cast<std::size_t>(limit->left_bytes) < bytes
                              ? fmt::format("{} leaves {}: raise that limit", limit->name,
                                            format_bytes(static_cast<double>(limit->left_bytes)))
                              : words + ": see vm.overcommit_memory and the memory in use";
  return fmt::format("the buffers of OpenBLAS and the threads of a rank take {} of memory to address, and {}",
                     format_bytes(static_cast<double>(bytes)), why);
}

}  // namespace

std::optional<CoreRate> CoreRates::of(DType dtype) const {
  if (dtype == DType::f32) return f32;
  if (dtype == DType::f64) return f64;
  return std::nullopt;
}

std::optional<std::string> why_slow(DType dtype, const CoreRate& rate, std::string_view library) {
  if (rate.share() >= kSlowCompute) return std::nullopt;
  return fmt::format(
      "a product of {0} x {0} matrices in {1} runs at {2:.3g} GFLOP/s on one core, {3} of the {4:.3g} "
      "GFLOP/s that "
      "multiply-adds in registers reach there{5}: unfit kernels of {6}, or a fault of the machine",
      kSize, name_of(dtype), rate.gemm_gflops, format_percent(rate.share()), rate.loop_gflops,
      is_narrow(dtype) ? " in f32" : "", library);
}

CoreRate measure_library_rate(const std::string& library, DType dtype) {
  static std::map<std::pair<std::string, DType>, CoreRate> known;
  const auto found = known.find({library, dtype});
  if (found != known.end()) return found->second;
  const auto backend = make_cpu_backend({.library = library, .threads = 1});
  const auto make = [&] { return backend->make_matrix(Category::activations, dtype, kSize, kSize); };
  const Matrix a = make(), c = make();
  backend->fill(a.view(), {.seed = 1, .tensor = 1, .scale = 1}, 0, 0);
  const DType of_loop = dtype == DType::f64 ? DType::f64 : DType::f32;
  const CoreRate rate = measure_rate(of_loop, [&] { backend->gemm(a.view(), a.view(), c.view()); });
  return known.emplace(std::pair(library, dtype), rate).first->second;
}

CoreRates measure_core_rates() {
  const int threads = openblas_get_num_threads();
  openblas_set_num_threads(1);
  const CoreRates rates = {measure<float>(DType::f32), measure<double>(DType::f64)};
  openblas_set_num_threads(threads);
  return rates;
}

const std::optional<std::string>& why_blas_cannot_start(int threads) {
  static const std::optional<std::string> why = find_why_blas_cannot_start(threads);
  return why;
}

Json core_rates_to_json(const CoreRates& rates) {
  return {{"f32", rate_to_json(rates.f32)}, {"f64", rate_to_json(rates.f64)}};
}

CoreRates core_rates_from_json(const Json& json) {
  return {rate_from_json(json.at("f32")), rate_from_json(json.at("f64"))};
}

}  // namespace tpbench
