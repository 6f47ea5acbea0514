#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/enum_names.hpp"
#include "base/json_fwd.hpp"

// OpenBLAS holds kernels for many CPUs and chooses by the CPU's model when it is loaded. A model that is
// newer than the library may get those of a CPU of 2004 (docs/methodology.md, "The machine").
namespace tpbench {

/// The vector instructions that products live on, each with those before it.
enum class Vectors { sse, avx, avx2, avx512 };

/// What CPU and operating system let a program use.
struct CpuVectors {
  Vectors widest = Vectors::sse;
  /// False where AVX-512 runs as two halves: measured on Zen 4, sgemm 1024³ on one core, Haswell's, Zen's and
  /// SkylakeX's kernels all reach 100 GFLOP/s.
  bool avx512_doubles = true;
};

/// Empty on another architecture than x86-64, where nothing is known of kernels.
std::optional<CpuVectors> read_cpu_vectors();

/// What the kernels of a core need, by OpenBLAS's name for it; empty for a name that is not known.
std::optional<Vectors> vectors_of_core(std::string_view core);

enum class KernelChooser { openblas, tpbench, user };

/// All that decides about kernels.
struct KernelFacts {
  std::string core;        ///< in use
  bool can_change = true;  ///< the library holds kernels of several cores
  std::optional<CpuVectors> cpu;
  std::optional<std::string> core_variable;  ///< OPENBLAS_CORETYPE
  std::optional<std::string>
      started_again_from;  ///< what OpenBLAS had chosen when this program set the variable
};

/// The kernels of this process and who chose them.
struct BlasKernels {
  std::string core;  ///< in use
  std::optional<std::string>
      chosen_core;  ///< by OpenBLAS; empty when it was not asked, as the user named one
  KernelChooser chosen_by = KernelChooser::openblas;
  std::string reason;
  bool can_change = true;
  std::optional<std::string>
      faster_core;  ///< for OPENBLAS_CORETYPE; empty: these are right, or nothing is known
  std::optional<std::string>
      missing;  ///< what the kernels need and the CPU lacks: the first product is SIGILL
};

BlasKernels judge_kernels(const KernelFacts& facts);

/// Those of this process. The first call reads the variables, and removes those with which this program
/// started itself again: they are no choice of the user's.
const BlasKernels& blas_kernels();

/// The variables to start this program again with: "NAME=value" twice. Empty when these kernels are to stay:
/// nothing is faster, somebody chose them, or this program has been started again already.
struct KernelVariables {
  std::string core;  ///< value of OPENBLAS_CORETYPE
  std::string mark;  ///< value of kKernelMark
};
std::optional<KernelVariables> variables_for_faster_kernels(const BlasKernels& kernels);

inline constexpr const char* kCoreVariable = "OPENBLAS_CORETYPE";
inline constexpr const char* kKernelMark = "TPBENCH_STARTED_AGAIN";

/// A sentence with the command to type where the kernels are slower than the CPU; `launcher` is
/// Launch::launcher.
std::optional<std::string> kernel_advice(const BlasKernels& kernels, std::string_view launcher);

/// {"core": ..., "chosen_core": ..., "chosen_by": "openblas", "reason": ...}
Json kernels_to_json(const BlasKernels& kernels);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Vectors, {tpbench::Vectors::sse, "SSE"}, {tpbench::Vectors::avx, "AVX"},
                   {tpbench::Vectors::avx2, "AVX2 and FMA"}, {tpbench::Vectors::avx512, "AVX-512"});
TPBENCH_ENUM_NAMES(tpbench::KernelChooser, {tpbench::KernelChooser::openblas, "openblas"},
                   {tpbench::KernelChooser::tpbench, "tpbench"}, {tpbench::KernelChooser::user, "user"});
