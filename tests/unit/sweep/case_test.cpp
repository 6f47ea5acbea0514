#include "sweep/case.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/json.hpp"

namespace tpbench {
namespace {

Case mlp_case() {
  Case point;
  point.workload = "mlp";
  point.hidden_size = 4096;
  point.batch_size = 16;
  point.sequence_length = 128;
  point.layout.tp = 2;
  return point;
}

TEST(Case, DefaultsThatDependOnOtherFieldsAreFilled) {
  Case point = mlp_case();
  normalise_case(point);
  EXPECT_EQ(point.ffn_hidden_size, 16384);
  EXPECT_EQ(point.activation, Activation::gelu);
  EXPECT_EQ(point.threads_per_rank, std::nullopt);
}

TEST(Case, WhatTheWorkloadDoesNotLookAtIsEmpty) {
  Case point = mlp_case();
  point.workload = "gemm";
  point.ffn_hidden_size = 100;
  point.num_heads = 8;
  point.num_kv_heads = 2;
  normalise_case(point);
  EXPECT_EQ(point.ffn_hidden_size, std::nullopt);
  EXPECT_EQ(point.num_heads, std::nullopt);
  EXPECT_EQ(point.num_kv_heads, std::nullopt);
  EXPECT_EQ(point.activation, std::nullopt);
  EXPECT_EQ(point.combine, std::nullopt);
  EXPECT_EQ(point.algorithm, std::nullopt);
  EXPECT_EQ(point.num_layers, 1);

  point = mlp_case();
  point.workload = "column_linear";
  normalise_case(point);
  EXPECT_EQ(point.combine, Combine::all_gather);
  EXPECT_EQ(point.algorithm, "mpi");
}

TEST(Case, NormalisingTwiceChangesNothing) {
  for (const Workload* workload : all_workloads()) {
    for (const char* model : {"", "llama3-8b"}) {
      Case point = mlp_case();
      point.workload = workload->name;
      if (*model != '\0') point.model = model;
      normalise_case(point);
      const Case once = point;
      normalise_case(point);
      EXPECT_EQ(point, once) << workload->name;
    }
  }
}

TEST(Case, OfAModelHasItsShape) {
  for (const Model& model : all_models()) {
    Case point;
    point.workload = "block";
    point.model = model.name;
    normalise_case(point);
    EXPECT_EQ(point.model_row(), &model);
    EXPECT_EQ(point.hidden_size, model.hidden_size);
    EXPECT_EQ(point.ffn_hidden_size, model.ffn_hidden_size);
    EXPECT_EQ(point.num_heads, model.num_heads);
    EXPECT_EQ(point.num_kv_heads, model.num_kv_heads);
    EXPECT_EQ(point.activation, model.activation);
    EXPECT_EQ(point.norm, model.norm);
  }
  EXPECT_EQ(mlp_case().model_row(), nullptr);
  Case later = mlp_case();
  later.model = "llama9-1t";
  EXPECT_THROW((void)later.model_row(), std::runtime_error);
}

TEST(Case, TheUsualNormFollowsTheActivation) {
  Case point = mlp_case();
  point.workload = "block";
  normalise_case(point);
  EXPECT_EQ(point.norm, Norm::layer_norm);
  EXPECT_EQ(point.context_length, 0);
  point = mlp_case();
  point.workload = "block";
  point.activation = Activation::swiglu;
  normalise_case(point);
  EXPECT_EQ(point.norm, Norm::rms_norm);
}

Case block_case() {
  Case point = mlp_case();
  point.workload = "block";
  normalise_case(point);
  return point;
}

TEST(Case, WithoutStagesLooksAtNoneOfTheirAxes) {
  const Case plain = block_case();
  Case point = plain;
  point.schedule = Schedule::zb_h1;
  point.virtual_stages = 4;
  point.boundary = Boundary::scattered;
  point.placement = Placement::pp_inside;
  normalise_case(point);
  EXPECT_EQ(point, plain);
  EXPECT_EQ(case_id(point), case_id(plain));
  EXPECT_EQ(point.schedule, std::nullopt);
}

TEST(Case, WithStagesHasAnIdOfItsOwnAndTheSameBaseline) {
  const Case plain = block_case();
  std::set<std::string> ids = {case_id(plain)};
  for (const Schedule schedule : {Schedule::gpipe, Schedule::zb_h1}) {
    for (const Placement placement : {Placement::tp_inside, Placement::pp_inside}) {
      Case point = plain;
      point.pass = Pass::forward_backward;
      point.layout.pp = 2;
      point.microbatches = 4;
      point.schedule = schedule;
      point.placement = placement;
      normalise_case(point);
      EXPECT_TRUE(ids.insert(case_id(point)).second);
      EXPECT_NE(case_id(point).find("-tp2-pp2-"), std::string::npos);
      EXPECT_EQ(case_from_json(Json::parse(case_to_json(point).dump())), point);
      Case one_rank = point;
      one_rank.layout = {};
      normalise_case(one_rank);
      EXPECT_EQ(case_id_in(point, {}), case_id(one_rank));
    }
  }
}

TEST(Case, OfAForwardPassHasNoSchedule) {
  Case point = block_case();
  point.layout.pp = 2;
  point.virtual_stages = 2;
  point.schedule = Schedule::zb_h1;
  normalise_case(point);
  EXPECT_EQ(point.schedule, std::nullopt);
  EXPECT_EQ(point.virtual_stages, 2);
  EXPECT_EQ(point.shape().schedule, Schedule::interleaved);
  EXPECT_EQ(point.placement, Placement::tp_inside);
  EXPECT_EQ(point.boundary, Boundary::whole);
  point.sequence_parallel = true;
  normalise_case(point);
  EXPECT_EQ(point.boundary, std::nullopt);
}

TEST(Case, SurvivesJson) {
  for (const Workload* workload : all_workloads()) {
    Case point = mlp_case();
    point.workload = workload->name;
    point.dtype = DType::f64;
    point.model = "mistral-7b";
    point.placement = Placement::spread;
    point.groups = Groups::all;
    point.cache = CacheState::cold;
    point.seed = std::uint64_t{1} << 53U;
    normalise_case(point);
    EXPECT_EQ(case_from_json(Json::parse(case_to_json(point).dump())), point);
  }
}

TEST(Case, JsonHasEveryFieldInOrderAndNullForWhatIsEmpty) {
  Case point = mlp_case();
  point.workload = "gemm";
  normalise_case(point);
  const Json json = case_to_json(point);
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  ASSERT_EQ(keys.size(), case_fields().size());
  for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(keys[i], case_fields()[i].key);
  EXPECT_TRUE(json["ffn_hidden_size"].is_null());
  EXPECT_TRUE(json["algorithm"].is_null());
  EXPECT_EQ(json["dtype"], "f32");
}

TEST(Case, ABrokenRecordIsRefusedByKey) {
  const auto message = [](const char* key, const Json& value) -> std::string {
    Json json = case_to_json(mlp_case());
    if (value.is_discarded())
      json.erase(key);
    else
      json[key] = value;
    try {
      case_from_json(json);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "accepted";
  };
  for (const CaseField& field : case_fields()) {
    const std::string key(field.key);
    // An axis of a later schema has its implicit value where it is absent.
    const std::string absent = message(key.c_str(), Json(Json::value_t::discarded));
    EXPECT_EQ(absent == "accepted", field.implicit != nullptr) << key;
    EXPECT_TRUE(field.implicit != nullptr || absent.find(key) != std::string::npos) << key;
    EXPECT_NE(message(key.c_str(), Json::array({1})).find(key), std::string::npos) << key;
  }
  EXPECT_NE(message("hidden_size", nullptr).find("hidden_size"), std::string::npos);
  EXPECT_NE(message("hidden_size", 1.5).find("hidden_size"), std::string::npos);
  EXPECT_NE(message("hidden_size", 18446744073709551615U).find("hidden_size"), std::string::npos);
  EXPECT_NE(message("seed", -1).find("seed"), std::string::npos);
  EXPECT_NE(message("dtype", "f31").find("dtype"), std::string::npos);
  EXPECT_THROW(case_from_json(Json::array()), std::runtime_error);
}

TEST(CaseId, IsReadableInFrontAndStable) {
  Case point = mlp_case();
  normalise_case(point);
  // Written down: an id that changes between versions makes records of one sweep strangers to each other.
  EXPECT_EQ(case_id(point), "mlp-h4096-b16-s128-tp2-327bbfa68898");
}

TEST(CaseId, HasTheModelInPlaceOfTheHiddenSize) {
  Case point = mlp_case();
  point.workload = "block";
  point.model = "qwen2.5-7b";
  normalise_case(point);
  const std::string id = case_id(point);
  EXPECT_EQ(id.substr(0, id.rfind('-')), "block-qwen2.5-7b-b16-s128-tp2");
  Case unnamed = point;
  unnamed.model.reset();
  normalise_case(unnamed);
  EXPECT_EQ(unnamed.hidden_size, 3584);
  EXPECT_NE(case_id(unnamed), id) << "the record of a model has more in it";
}

TEST(CaseId, EveryFieldCounts) {
  Case point = mlp_case();
  point.activation = Activation::gelu;
  point.num_heads = 32;
  point.num_kv_heads = 8;
  point.ffn_hidden_size = 14336;
  point.threads_per_rank = 1;
  std::set<std::string> ids = {case_id(point)};
  const Json other = Json::parse(
      R"({"workload": "gemm", "pass": "forward_backward", "backend": "cuda", "dtype": "f64", "library": "onednn",
    "weight_layout": "packed", "pages": "huge",
    "model": "llama3-8b", "context_length": 7, "norm": "rms_norm", "hidden_size": 8, "ffn_hidden_size": 8, "num_heads": 1, "num_kv_heads": 1, "head_dim": 96, "num_layers": 2, "batch_size": 1,
    "scaled_from_layers": 1, "vocab_size": 7, "logits": "all", "tie_embeddings": true,
    "sequence_length": 1, "tp_degree": 4, "pp_degree": 2, "microbatches": 2, "virtual_stages": 2, "schedule": "gpipe",
    "boundary": "scattered", "algorithm": "shm", "combine": "all_reduce", "sequence_parallel": true,
    "overlap_chunks": 2, "placement": "spread", "groups": "all", "threads_per_rank": 2, "activation": "swiglu",
    "cache": "cold", "seed": 2})");
  for (const CaseField& field : case_fields()) {
    Case changed = point;
    field.set(changed, other.at(std::string(field.key)));
    EXPECT_TRUE(ids.insert(case_id(changed)).second) << field.key;
  }
}

// OpenBLAS and the kernel's pages, before there were others; a device's products and memory are the device's.
TEST(CaseId, LeavesOutTheUsualLibraryAndPages) {
  Case point = mlp_case();
  normalise_case(point);
  const std::string id = case_id(point);
  Case older = point;
  older.library.reset();
  older.weight_layout.reset();
  older.pages.reset();
  EXPECT_EQ(case_id(older), id);
  Json json = case_to_json(point);
  json.erase("library");
  json.erase("weight_layout");
  json.erase("pages");
  EXPECT_EQ(case_from_json(json), point);
  point.library = "onednn";
  EXPECT_NE(case_id(point), id);
  point.backend = json["backend"] = "cuda";
  normalise_case(point);
  EXPECT_EQ(point.library, std::nullopt);
  EXPECT_EQ(point.weight_layout, std::nullopt);
  EXPECT_EQ(point.pages, std::nullopt);
  EXPECT_EQ(case_from_json(json), point);
  Case probe = mlp_case();
  probe.workload = "all_reduce";
  probe.library = "onednn";
  normalise_case(probe);
  EXPECT_EQ(probe.library, std::nullopt);
  EXPECT_EQ(probe.pages, Pages::system) << "its arrays lie in memory too";
}

// The size that heads had before they could have another.
TEST(CaseId, LeavesOutTheUsualHeadSize) {
  Case point = mlp_case();
  point.workload = "attention";
  point.num_heads = 32;
  normalise_case(point);
  EXPECT_EQ(point.head_dim, point.hidden_size / 32);
  Case given = point;
  EXPECT_EQ(case_id(given), case_id(point));
  given.head_dim = 2 * *point.head_dim;
  EXPECT_NE(case_id(given), case_id(point));
  Json old = case_to_json(point);
  old.erase("head_dim");
  EXPECT_EQ(case_from_json(old), point);
}

TEST(Case, SaysWhichHeadsNobodyGave) {
  Case point = mlp_case();
  point.workload = "attention";
  point.hidden_size = 1000;
  normalise_case(point);
  EXPECT_EQ(point.num_heads, 5);
  EXPECT_NE(about_default_heads(point).find("num_heads 5 is the default"), std::string::npos);
  point.num_heads = 10;
  EXPECT_EQ(about_default_heads(point), "");
  point.hidden_size = 1024;
  point.num_heads = 8;
  EXPECT_EQ(about_default_heads(point), "");
}

TEST(CaseId, OfTheSameCaseAtAnotherDegree) {
  Case point = mlp_case();
  normalise_case(point);
  Case baseline = mlp_case();
  baseline.layout.tp = 1;
  normalise_case(baseline);
  EXPECT_EQ(case_id_in(point, {.tp = 1}), case_id(baseline));
  EXPECT_EQ(case_id_in(point, {.tp = 2}), case_id(point));
}

TEST(Case, ShapeHoldsWhatTheWorkloadUses) {
  Case point = mlp_case();
  normalise_case(point);
  const Shape shape = point.shape();
  EXPECT_EQ(shape.tokens, 16 * 128);
  EXPECT_EQ(shape.hidden_size, 4096);
  EXPECT_EQ(shape.ffn_hidden_size, 16384);
  EXPECT_EQ(shape.layout.tp, 2);
  point.workload = "all_reduce";
  normalise_case(point);
  EXPECT_EQ(point.shape().ffn_hidden_size, 0);
  EXPECT_EQ(point.shape().num_layers, 1);
}

}  // namespace
}  // namespace tpbench
