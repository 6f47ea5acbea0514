#include "compute/blas_kernels.hpp"

#include <cblas.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "base/json.hpp"
#include "base/text.hpp"

namespace tpbench {
namespace {

struct CoreRow {
  std::string_view core;
  Vectors vectors;
};

// The names of OpenBLAS's x86-64 cores (driver/others/dynamic.c) and what their products are made of.
// Bulldozer and its children have FMA of their own kind, on halves of 128 bits.
constexpr CoreRow kCores[] = {
    {"Katmai", Vectors::sse},        {"Coppermine", Vectors::sse},
    {"Northwood", Vectors::sse},     {"Prescott", Vectors::sse},
    {"Banias", Vectors::sse},        {"Atom", Vectors::sse},
    {"Core2", Vectors::sse},         {"Penryn", Vectors::sse},
    {"Dunnington", Vectors::sse},    {"Nehalem", Vectors::sse},
    {"Athlon", Vectors::sse},        {"Opteron", Vectors::sse},
    {"Opteron_SSE3", Vectors::sse},  {"Barcelona", Vectors::sse},
    {"Nano", Vectors::sse},          {"Bobcat", Vectors::sse},
    {"Sandybridge", Vectors::avx},   {"Bulldozer", Vectors::avx},
    {"Piledriver", Vectors::avx},    {"Steamroller", Vectors::avx},
    {"Excavator", Vectors::avx2},    {"Haswell", Vectors::avx2},
    {"Zen", Vectors::avx2},          {"SkylakeX", Vectors::avx512},
    {"Cooperlake", Vectors::avx512}, {"SapphireRapids", Vectors::avx512},
};

// Kernels for each width that OpenBLAS takes by name since 0.3.0, widest first.
constexpr CoreRow kNameable[] = {{"SkylakeX", Vectors::avx512}, {"Haswell", Vectors::avx2}};

// Cores are compared without regard to case: the library is told so by some, and says so itself at times.
std::string lower(std::string_view text) {
  std::string result(text);
  for (char& letter : result)
    letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  return result;
}

std::optional<std::string> faster_core(std::string_view core, const CpuVectors& cpu) {
  const std::optional<Vectors> used = vectors_of_core(core);
  if (!used) return std::nullopt;
  // AVX-512 in halves is worth no change from AVX2; from less than that it is as good.
  const bool fits = *used == Vectors::avx2 && cpu.widest == Vectors::avx512 && !cpu.avx512_doubles;
  if (fits || *used >= cpu.widest) return std::nullopt;
  for (const CoreRow& row : kNameable) {
    if (row.vectors <= cpu.widest && row.vectors > *used) return std::string(row.core);
  }
  return std::nullopt;
}

std::string with_vectors(std::string_view core) {
  const std::optional<Vectors> vectors = vectors_of_core(core);
  return vectors ? fmt::format("{} ({})", core, name_of(*vectors)) : std::string(core);
}

std::string reason_of(const KernelFacts& facts, const BlasKernels& kernels) {
  const std::string cpu = facts.cpu ? fmt::format("a CPU with {}", name_of(facts.cpu->widest)) : "this CPU";
  switch (kernels.chosen_by) {
    case KernelChooser::user:
      return fmt::format("{}={} was set", kCoreVariable, *facts.core_variable);
    case KernelChooser::tpbench:
      return fmt::format("OpenBLAS chose the kernels of {} on {}; tpbench started itself again with {}={}",
                         with_vectors(*kernels.chosen_core), cpu, kCoreVariable,
                         facts.core_variable.value_or(""));
    case KernelChooser::openblas:
      break;
  }
  return fmt::format("OpenBLAS chose them for {}", cpu);
}

// Set by this program for this very process: an exec keeps the number, and nothing that it starts has it.
std::optional<std::string> core_before_this_start() {
  const char* const mark = std::getenv(kKernelMark);
  if (mark == nullptr) return std::nullopt;
  const std::string own = fmt::format("{}:", getpid());
  const std::string_view text = mark;
  if (!text.starts_with(own)) return std::nullopt;
  return std::string(text.substr(own.size()));
}

BlasKernels look() {
  KernelFacts facts;
  facts.core = openblas_get_corename();
  facts.can_change = std::string_view(openblas_get_config()).find("DYNAMIC_ARCH") != std::string_view::npos;
  facts.cpu = read_cpu_vectors();
  const char* const variable = std::getenv(kCoreVariable);
  if (variable != nullptr && *variable != '\0') facts.core_variable = variable;
  facts.started_again_from = core_before_this_start();
  if (facts.started_again_from) unsetenv(kCoreVariable);
  unsetenv(kKernelMark);
  return judge_kernels(facts);
}

}  // namespace

std::optional<CpuVectors> read_cpu_vectors() {
#if defined(__x86_64__)
  // These look at what the operating system saves, too.
  __builtin_cpu_init();
  CpuVectors cpu;
  if (__builtin_cpu_supports("avx")) cpu.widest = Vectors::avx;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) cpu.widest = Vectors::avx2;
  if (cpu.widest == Vectors::avx2 && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    cpu.widest = Vectors::avx512;
  cpu.avx512_doubles = !__builtin_cpu_is("amd");
  return cpu;
#else
  return std::nullopt;
#endif
}

std::optional<Vectors> vectors_of_core(std::string_view core) {
  for (const CoreRow& row : kCores) {
    if (lower(row.core) == lower(core)) return row.vectors;
  }
  return std::nullopt;
}

BlasKernels judge_kernels(const KernelFacts& facts) {
  BlasKernels kernels;
  kernels.core = facts.core;
  kernels.can_change = facts.can_change;
  if (facts.started_again_from) {
    kernels.chosen_by = KernelChooser::tpbench;
    kernels.chosen_core = facts.started_again_from;
  } else if (facts.core_variable && facts.can_change) {
    kernels.chosen_by = KernelChooser::user;
  } else {
    kernels.chosen_core = facts.core;
  }
  kernels.reason = reason_of(facts, kernels);
  if (!facts.cpu) return kernels;
  kernels.faster_core = faster_core(facts.core, *facts.cpu);
  const std::optional<Vectors> used = vectors_of_core(facts.core);
  if (used && *used > facts.cpu->widest) kernels.missing = name_of(*used);
  return kernels;
}

const BlasKernels& blas_kernels() {
  static const BlasKernels kernels = look();
  return kernels;
}

std::optional<KernelVariables> variables_for_faster_kernels(const BlasKernels& kernels) {
  if (kernels.chosen_by != KernelChooser::openblas || !kernels.faster_core || !kernels.can_change)
    return std::nullopt;
  return KernelVariables{*kernels.faster_core, fmt::format("{}:{}", getpid(), kernels.core)};
}

std::optional<std::string> kernel_advice(const BlasKernels& kernels, std::string_view launcher) {
  if (!kernels.faster_core) return std::nullopt;
  std::string text =
      fmt::format("OpenBLAS multiplies with its kernels for {}, far below what this CPU can do",
                  with_vectors(kernels.core));
  if (!kernels.can_change || kernels.chosen_by == KernelChooser::tpbench) {
    return text + fmt::format(
                      ", and has none for {}: install one that is built with DYNAMIC_ARCH (Debian: "
                      "libopenblas0-pthread)",
                      with_vectors(*kernels.faster_core));
  }
  const std::string type =
      launcher == "mpirun" ? fmt::format("mpirun -x {}={}", kCoreVariable, *kernels.faster_core)
      : launcher == "none" ? fmt::format("{}={} tpbench", kCoreVariable, *kernels.faster_core)
                           : fmt::format("{}={} {}", kCoreVariable, *kernels.faster_core, launcher);
  return text + fmt::format("; type {} ..., {}", type,
                            kernels.chosen_by == KernelChooser::user
                                ? fmt::format("or unset {}", kCoreVariable)
                                : std::string("without --keep-blas-kernels"));
}

Json kernels_to_json(const BlasKernels& kernels) {
  return {{"core", kernels.core},
          {"chosen_core", json_or_null(kernels.chosen_core)},
          {"chosen_by", name_of(kernels.chosen_by)},
          {"reason", kernels.reason},
          {"faster_core", json_or_null(kernels.faster_core)}};
}

}  // namespace tpbench
