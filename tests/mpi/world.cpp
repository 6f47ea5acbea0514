#include "world.hpp"

#include "base/enum_names.hpp"
#include "layers/layer.hpp"

namespace tpbench::test {

const Team& team_for(const Case& point) {
  static TeamCache cache(session());
  return cache.team_for(point);
}

const Team& first_ranks(std::int64_t degree) {
  Case point;
  point.tp_degree = degree;
  return team_for(point);
}

std::vector<Variant> all_variants() {
  std::vector<Variant> variants;
  for (const LayerEntry& entry : all_layers()) {
    const std::string name(entry.workload);
    const UsedFields& uses = find_workload(name)->uses;
    variants.push_back({name});
    if (uses.activation) variants.push_back({name, Activation::swiglu});
    if (uses.combine) variants.push_back({name, Activation::gelu, Combine::all_reduce});
  }
  return variants;
}

std::string name_of_variant(const Variant& variant) {
  const UsedFields& uses = find_workload(variant.workload)->uses;
  std::string name = variant.workload;
  if (uses.activation) name += "_" + std::string(name_of(variant.activation));
  if (uses.combine) name += "_" + std::string(name_of(variant.combine));
  return name;
}

Case make_case(const Variant& variant, std::int64_t tokens, std::int64_t hidden_size,
               std::int64_t ffn_hidden_size) {
  Case point;
  point.workload = variant.workload;
  point.activation = variant.activation;
  point.combine = variant.combine;
  point.hidden_size = hidden_size;
  point.ffn_hidden_size = ffn_hidden_size;
  point.batch_size = tokens;
  point.threads_per_rank = 1;
  return point;
}

}  // namespace tpbench::test
