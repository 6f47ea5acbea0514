#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace tpbench::onednn {

/// The newest instructions that oneDNN uses here: "avx512_core_bf16".
std::string_view name_of_isa();

/// Whether it has instructions for products in bf16 to use.
bool has_bf16_instructions();

/// "ONEDNN_MAX_CPU_ISA=AVX2", where that is what keeps oneDNN from `isa` (avx512_core or avx512_core_bf16),
/// which this CPU has; empty where nothing does, or the CPU lacks it too.
std::optional<std::string> cap_below(dnnl::cpu_isa isa);

}  // namespace tpbench::onednn
