#include <fmt/format.h>

#include <array>

#include "base/error.hpp"
#include "layers/block.hpp"
#include "layers/embedding.hpp"
#include "layers/layer.hpp"
#include "layers/linear.hpp"
#include "layers/model.hpp"
#include "layers/output_head.hpp"
#include "layers/pipelined_layer.hpp"
#include "layers/probes.hpp"
#include "layers/region_layer.hpp"

namespace tpbench {
namespace {

constexpr std::array kLayers = {
    LayerEntry{"gemm", make_gemm},
    LayerEntry{"all_reduce", make_all_reduce},
    LayerEntry{"all_gather", make_all_gather},
    LayerEntry{"reduce_scatter", make_reduce_scatter},
    LayerEntry{"column_linear", make_column_linear},
    LayerEntry{"row_linear", make_row_linear},
    LayerEntry{"mlp", make_mlp},
    LayerEntry{"attention", make_attention},
    LayerEntry{"block", make_block, make_piped_block},
    LayerEntry{"embedding", make_embedding},
    LayerEntry{"lm_head", make_lm_head},
    LayerEntry{"model", make_model, make_piped_model},
};

}  // namespace

std::span<const LayerEntry> all_layers() { return kLayers; }

const LayerEntry* find_layer(std::string_view workload) {
  for (const LayerEntry& entry : kLayers) {
    if (entry.workload == workload) return &entry;
  }
  return nullptr;
}

std::unique_ptr<Layer> make_layer(std::string_view workload, const LayerContext& context) {
  const LayerEntry* entry = find_layer(workload);
  if (entry == nullptr) throw CaseError(fmt::format("this build has no layer for workload {}", workload));
  return context.shape.has_microbatches() ? entry->make_piped(context) : entry->make(context);
}

}  // namespace tpbench
