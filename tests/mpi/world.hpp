#pragma once

#include <string>
#include <vector>

#include "bench/team.hpp"
#include "comm/session.hpp"
#include "sweep/case.hpp"

namespace tpbench::test {

/// The one session of the test program.
Session& session();
inline const Control& world() { return session().world(); }

/// The team of a case, from one cache. Called by all ranks of the world.
const Team& team_for(const Case& point);
/// The team of the first `degree` ranks.
const Team& first_ranks(std::int64_t degree);

/// A workload with what changes the way in which it runs.
struct Variant {
  std::string workload;
  Activation activation = Activation::gelu;
  Combine combine = Combine::all_gather;
  Pass pass = Pass::forward;
  bool sequence_parallel = false;
  Logits logits = Logits::last;
  bool ties_embeddings = false;
};

/// Sizes of a case. `num_heads` is for workloads with attention.
struct Sizes {
  std::int64_t tokens = 7, hidden_size = 60, ffn_hidden_size = 132;
  std::int64_t sequence_length = 7, num_heads = 12, num_kv_heads = 4;
  std::int64_t vocabulary = 29;  ///< a multiple of no degree
};

/// Every layer of this build in every form.
std::vector<Variant> all_variants();
/// "column_linear_all_reduce": fit for the name of a test.
std::string name_of_variant(const Variant& variant);

/// A case of that variant; the caller sets degree, dtype and layers.
Case make_case(const Variant& variant, const Sizes& sizes = {});

/// Whether the case's degree can split it.
bool can_split(const Case& point);

}  // namespace tpbench::test
