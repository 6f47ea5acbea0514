#include "onednn/cpu_isa.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <map>

namespace tpbench::onednn {
namespace {

bool uses(dnnl::cpu_isa isa) {
  return static_cast<unsigned>(dnnl::get_effective_cpu_isa()) >= static_cast<unsigned>(isa);
}

bool cpu_has(dnnl::cpu_isa isa) {
#if defined(__x86_64__)
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (isa == dnnl::cpu_isa::avx512_core) return has_avx512;
  if (isa == dnnl::cpu_isa::avx512_core_bf16) return has_avx512 && __builtin_cpu_supports("avx512bf16");
#endif
  return false;
}

}  // namespace

std::string_view name_of_isa() {
  static const std::map<dnnl::cpu_isa, std::string_view> kNames = {
      {dnnl::cpu_isa::sse41, "sse41"},
      {dnnl::cpu_isa::avx, "avx"},
      {dnnl::cpu_isa::avx2, "avx2"},
      {dnnl::cpu_isa::avx2_vnni, "avx2_vnni"},
      {dnnl::cpu_isa::avx512_core, "avx512_core"},
      {dnnl::cpu_isa::avx512_core_vnni, "avx512_core_vnni"},
      {dnnl::cpu_isa::avx512_core_bf16, "avx512_core_bf16"},
      {dnnl::cpu_isa::avx512_core_amx, "avx512_core_amx"},
  };
  const auto found = kNames.find(dnnl::get_effective_cpu_isa());
  return found == kNames.end() ? "another" : found->second;
}

bool has_bf16_instructions() { return uses(dnnl::cpu_isa::avx512_core_bf16); }

std::optional<std::string> cap_below(dnnl::cpu_isa isa) {
  if (uses(isa) || !cpu_has(isa)) return std::nullopt;
  // In the order in which oneDNN looks.
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return fmt::format("{}={}", name, value);
  }
  return std::nullopt;
}

}  // namespace tpbench::onednn
