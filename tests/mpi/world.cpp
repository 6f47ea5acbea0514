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
  point.layout.tp = degree;
  return team_for(point);
}

std::vector<Variant> all_variants() {
  std::vector<Variant> variants;
  for (const LayerEntry& entry : all_layers()) {
    const std::string name(entry.workload);
    const UsedFields& uses = find_workload(name)->uses;
    std::vector<Variant> forms = {{name}};
    if (uses.activation) forms.push_back({name, Activation::swiglu});
    if (uses.combine) forms.push_back({name, Activation::gelu, Combine::all_reduce});
    if (uses.logits) {
      Variant of_all{name};
      of_all.logits = Logits::all;
      forms.push_back(of_all);
    }
    if (uses.whole_model) {
      Variant tied{name};
      tied.ties_embeddings = true;
      forms.push_back(tied);
    }
    for (Variant form : forms) {
      variants.push_back(form);
      if (find_workload(name)->kind != WorkloadKind::layer) continue;
      form.sequence_parallel = true;
      variants.push_back(form);
      if (form.logits == Logits::all) continue;  // training has one form
      form.pass = Pass::forward_backward;
      variants.push_back(form);
      form.sequence_parallel = false;
      variants.push_back(form);
    }
  }
  return variants;
}

std::string name_of_variant(const Variant& variant) {
  const UsedFields& uses = find_workload(variant.workload)->uses;
  std::string name = variant.workload;
  if (uses.activation) name += "_" + std::string(name_of(variant.activation));
  if (uses.combine) name += "_" + std::string(name_of(variant.combine));
  if (variant.logits == Logits::all) name += "_all_logits";
  if (variant.ties_embeddings) name += "_tied";
  if (variant.pass == Pass::forward_backward) name += "_trained";
  if (variant.sequence_parallel) name += "_in_rows";
  return name;
}

Case make_case(const Variant& variant, const Sizes& sizes) {
  Case point;
  point.workload = variant.workload;
  point.activation = variant.activation;
  point.combine = variant.combine;
  point.pass = variant.pass;
  point.sequence_parallel = variant.sequence_parallel;
  point.hidden_size = sizes.hidden_size;
  point.ffn_hidden_size = sizes.ffn_hidden_size;
  point.batch_size = sizes.tokens / sizes.sequence_length;
  point.sequence_length = sizes.sequence_length;
  point.num_heads = sizes.num_heads;
  point.num_kv_heads = sizes.num_kv_heads;
  point.vocab_size = sizes.vocabulary;
  point.logits = variant.logits;
  point.tie_embeddings = variant.ties_embeddings;
  point.threads_per_rank = 1;
  return point;
}

bool can_split(const Case& point) {
  const Workload& workload = point.workload_row();
  return !why_impossible(workload, point.shape()) && !why_not_divisible(workload, point.shape());
}

}  // namespace tpbench::test
