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
};

/// Every layer of this build in every form.
std::vector<Variant> all_variants();
/// "column_linear_all_reduce": fit for the name of a test.
std::string name_of_variant(const Variant& variant);

/// A case of that variant; the caller sets degree, dtype and layers.
Case make_case(const Variant& variant, std::int64_t tokens, std::int64_t hidden_size,
               std::int64_t ffn_hidden_size);

}  // namespace tpbench::test
