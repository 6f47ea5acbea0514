#include "report/nccl_tests.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "sample_sets.hpp"

namespace tpbench {
namespace {

using sample::make_case;
using sample::make_not_ok;
using sample::make_ok;

ResultSet probes() {
  ResultSet set;
  set.path = "a";
  set.records = {make_ok(make_case("all_reduce", 1), {.other = 1e-6}),
                 make_ok(make_case("all_reduce", 4), {.communication = 2e-3}),
                 make_ok(make_case("all_gather", 4), {.communication = 1e-3}),
                 make_ok(make_case("reduce_scatter", 4), {.communication = 1e-3}),
                 make_ok(make_case("mlp", 4), {.compute = 1, .communication = 1}),
                 make_not_ok(make_case("all_gather", 8), Status::failed, ReasonCode::error, "broke")};
  set.environments["environment.json"] =
      Json::parse(R"({"ranks": [{"rank": 0, "host": "n1", "pid": 7}], "variables": {"UCX_TLS": "rc"}})");
  return set;
}

TEST(NcclTests, HoldsTheCollectivesThatMoveSomething) {
  const NcclTestsExport exported = export_nccl_tests(probes());
  EXPECT_EQ(exported.cases, 3U);
  EXPECT_EQ(exported.on_one_rank, 1U);
  const Json document = Json::parse(exported.text);
  EXPECT_EQ(document.at("version"), 3);
  EXPECT_EQ(document.at("start_time"), "2026-11-22 12:00:00");
  EXPECT_EQ(document.at("env"), Json::array({"UCX_TLS=rc"}));
  EXPECT_EQ(document.at("config").at("devices").at(0).at("hostname"), "n1");
  EXPECT_EQ(document.at("config").at("minimum_bytes"), 4096 * 128 * 4);
  EXPECT_EQ(document.at("config").at("blocking_collectives"), "true");
  EXPECT_DOUBLE_EQ(document.at("average_bus_bandwidth").at("bandwidth").get<double>(), 1.0 / 3);
  EXPECT_EQ(document.at("out_of_bounds").at("count"), 0);
  EXPECT_TRUE(document.at("errors").empty());
}

TEST(NcclTests, NamesTypesAsNcclTestsDoes) {
  const std::pair<DType, const char*> names[] = {{DType::f32, "float"},
                                                 {DType::f64, "double"},
                                                 {DType::tf32, "float"},
                                                 {DType::f16, "half"},
                                                 {DType::bf16, "bfloat16"}};
  for (const auto& [dtype, name] : names) {
    ResultSet set = probes();
    for (Record& record : set.records) record.point.dtype = dtype;
    const Json result = Json::parse(export_nccl_tests(set).text).at("results").at(0);
    EXPECT_EQ(result.at("type"), name);
    EXPECT_EQ(result.at("count"), 4096 * 128 * 4 / size_of(dtype));
  }
}

TEST(NcclTests, KeepsItsConventions) {
  const Json results = Json::parse(export_nccl_tests(probes()).text).at("results");
  constexpr std::int64_t kElements = 4096 * 128;
  const struct {
    const char* collective;
    std::int64_t count;
    const char* redop;
    const char* buffers;
    double time_us;
  } rows[] = {{"all_reduce", kElements, "sum", "in_place", 2000},
              {"all_gather", kElements / 4, "none", "separate", 1000},
              {"reduce_scatter", kElements / 4, "sum", "separate", 1000}};
  for (std::size_t i = 0; i < 3; ++i) {
    const Json& result = results.at(i);
    EXPECT_EQ(result.at("tpbench").at("collective"), rows[i].collective);
    EXPECT_EQ(result.at("tpbench").at("buffers"), rows[i].buffers);
    EXPECT_EQ(result.at("size"), kElements * 4);
    EXPECT_EQ(result.at("count"), rows[i].count);
    EXPECT_EQ(result.at("type"), "float");
    EXPECT_EQ(result.at("redop"), rows[i].redop);
    EXPECT_EQ(result.at("root"), "-1");
    EXPECT_TRUE(result.at("out_of_place").is_null());
    EXPECT_NEAR(result.at("in_place").at("time").get<double>(), rows[i].time_us, 1e-6);
    EXPECT_DOUBLE_EQ(result.at("in_place").at("bus_bw").get<double>(), 1.0 / 3);
    EXPECT_EQ(result.at("in_place").at("nwrong"), 0);
    EXPECT_EQ(result.at("actual_iterations"), 10);
    EXPECT_EQ(result.at("in_place_per_iter").at("times_us").size(), 10U);
    EXPECT_NEAR(result.at("in_place_per_iter").at("p50_us").get<double>(), rows[i].time_us, 1e-6);
  }
}

TEST(NcclTests, SaysNothingOfWhatWasNotChecked) {
  ResultSet set = probes();
  for (Record& record : set.records) record.verification = {};
  const Json document = Json::parse(export_nccl_tests(set).text);
  EXPECT_TRUE(document.at("results").at(0).at("in_place").at("nwrong").is_null());
  EXPECT_EQ(document.at("config").at("validation"), 0);
  EXPECT_TRUE(document.at("out_of_bounds").at("count").is_null());
}

TEST(NcclTests, OfNoCollectiveIsEmpty) {
  ResultSet set;
  EXPECT_EQ(export_nccl_tests(set).cases, 0U);
  EXPECT_TRUE(Json::parse(export_nccl_tests(set).text).at("results").empty());
}

}  // namespace
}  // namespace tpbench
