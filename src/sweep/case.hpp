#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/dtype.hpp"
#include "base/field.hpp"
#include "workload/models.hpp"
#include "workload/shape.hpp"
#include "workload/workload.hpp"

namespace tpbench {

/// packed and spread place a group that shares layers; the other two say what of a pipeline stays inside
/// hosts.
enum class Placement { packed, spread, tp_inside, pp_inside };
enum class Groups { one, all };
enum class CacheState { warm, cold };
/// How weights lie that are multiplied: in rows, or as the library packs them best, once.
enum class WeightLayout { plain, packed };

/// Of tensors on the host: what the kernel gives by its own setting, or huge ones, asked for.
enum class Pages { system, huge };

/// One point of the sweep. A field that the case's workload does not look at is empty (`normalise_case`), so
/// that two points that would measure the same thing are equal.
struct Case {
  std::string workload = "row_linear";
  Pass pass = Pass::forward;
  std::string backend = "cpu";
  std::optional<std::string> library = "openblas";                  ///< who multiplies, on backend cpu
  std::optional<WeightLayout> weight_layout = WeightLayout::plain;  ///< likewise
  std::optional<Pages> pages = Pages::system;                       ///< on backend cpu
  DType dtype = DType::f32;
  std::optional<std::string> model;                ///< sets `model_fields`
  std::int64_t hidden_size = 0;                    ///< 0 before `normalise_case` only, with a model
  std::optional<std::int64_t> ffn_hidden_size;     ///< empty before: 4 x hidden_size
  std::optional<std::int64_t> num_heads;           ///< empty before: hidden_size / 128, at least 1
  std::optional<std::int64_t> num_kv_heads;        ///< empty before: num_heads
  std::optional<std::int64_t> head_dim;            ///< empty before: hidden_size / num_heads, if that divides
  std::optional<std::int64_t> num_layers;          ///< empty before: those of a whole model, or 1
  std::optional<std::int64_t> scaled_from_layers;  ///< of a whole model: run these, and compose the rest
  std::optional<std::int64_t> vocab_size;          ///< empty before: 32000
  std::optional<Logits> logits = Logits::last;
  std::optional<bool> tie_embeddings;  ///< empty before: false
  std::int64_t batch_size = 1;
  std::int64_t sequence_length = 1;
  std::optional<std::int64_t> context_length = 0;  ///< earlier tokens of each sequence, in a key/value cache
  Layout layout;
  std::int64_t microbatches = 1;
  std::optional<std::int64_t> virtual_stages;  ///< empty before `normalise_case`: 1
  std::optional<Schedule> schedule;            ///< empty before: 1f1b, or interleaved
  std::optional<Boundary> boundary;            ///< empty before: whole
  std::optional<std::string> algorithm = "mpi";
  std::optional<Combine> combine = Combine::all_gather;
  bool sequence_parallel = false;
  std::int64_t overlap_chunks = 1;
  Placement placement = Placement::packed;
  Groups groups = Groups::one;
  std::optional<std::int64_t>
      threads_per_rank;                  ///< empty: cores of the node / its ranks, resolved when it runs
  std::optional<Activation> activation;  ///< empty before `normalise_case`: gelu
  std::optional<Norm> norm;              ///< empty before: the one that is usual with the activation
  CacheState cache = CacheState::warm;
  std::uint64_t seed = 1;

  [[nodiscard]] std::int64_t tokens() const { return batch_size * sequence_length; }
  /// What a step runs: of a model that is scaled from fewer layers, those.
  [[nodiscard]] Shape shape() const;
  /// What the results are of.
  [[nodiscard]] Shape whole_shape() const;
  [[nodiscard]] const Workload& workload_row() const;
  /// What this point costs on each rank of that layout by the formulas of its workload alone; with what its
  /// backend adds: cost_of() in bench/case_cost.hpp.
  [[nodiscard]] Cost cost(const Layout& at) const;
  [[nodiscard]] Cost cost() const { return cost(layout); }
  /// nullptr without a preset: no model, or one of a file. Throws std::runtime_error when it is a preset that
  /// this build does not have.
  [[nodiscard]] const Model* model_row() const;
  /// Its heads are those that a case gets which names none, and not one for each 128 of hidden_size.
  [[nodiscard]] bool has_odd_default_heads() const;
  bool operator==(const Case&) const = default;
};

/// One field of a case: the one place that knows its key, its title in tables, what it means and how it
/// becomes JSON. Adding an axis is a member of Case, a row here and an entry in docs/sweep.schema.json.
struct CaseField : Field<Case> {
  std::string_view title;                   ///< column heading, a few letters: "h", "TP"
  bool (*applies)(const UsedFields&) = {};  ///< false: workloads that do not use it leave it empty
  /// What cases had before this axis was one. That value stays out of the id and may be absent in a record,
  /// so that old and new records of one case meet. Empty: an axis of the first schema.
  Json (*implicit)(const Case&) = {};
};

/// All fields, in the order of the record.
std::span<const CaseField> case_fields();

/// One field that a model sets.
struct ModelField {
  std::string_view key;
  void (*set)(Case&, const Model&);
};

/// What must not be said beside a model.
std::span<const ModelField> model_fields();

/// Whether a model's name is the path of its own file.
bool is_model_file(std::string_view model);

/// Fills in what the model sets and defaults that depend on other fields, and empties what the workload does
/// not look at. `of_files`: the models that stand in files, by the names that cases have for them.
void normalise_case(Case& point, std::span<const Model> of_files = {});

Json case_to_json(const Case& point);
/// Throws FieldFault.
Case case_from_json(const Json& object);

/// "; num_heads 5 is the default, as ..." where a degree was refused over a number of heads that nobody gave;
/// empty elsewhere.
std::string about_default_heads(const Case& point);

/// "h=1000 has 5 of 200, as 128 does not divide it": the heads of a case that names none; empty where they
/// are others, or a model's.
std::optional<std::string> default_heads_text(const Case& point);

/// Stable name of a case: readable front, hash behind. Depends on what is measured and on nothing else: not
/// on the order of keys, the place in the sweep, the machine or how long is sampled.
/// "row_linear-h4096-b16-s128-tp2-9c1f03ab7d52", "block-llama3-8b-b1-s512-tp2-0e41b7c2a6d9"
std::string case_id(const Case& point);

/// The id of the same case in another layout: that on one rank is what `scaling` compares with.
std::string case_id_in(const Case& point, const Layout& layout);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Placement, {tpbench::Placement::packed, "packed"},
                   {tpbench::Placement::spread, "spread"}, {tpbench::Placement::tp_inside, "tp_inside"},
                   {tpbench::Placement::pp_inside, "pp_inside"});
TPBENCH_ENUM_NAMES(tpbench::Groups, {tpbench::Groups::one, "one"}, {tpbench::Groups::all, "all"});
TPBENCH_ENUM_NAMES(tpbench::CacheState, {tpbench::CacheState::warm, "warm"},
                   {tpbench::CacheState::cold, "cold"});
TPBENCH_ENUM_NAMES(tpbench::Pages, {tpbench::Pages::system, "system"}, {tpbench::Pages::huge, "huge"});
TPBENCH_ENUM_NAMES(tpbench::WeightLayout, {tpbench::WeightLayout::plain, "plain"},
                   {tpbench::WeightLayout::packed, "packed"});
