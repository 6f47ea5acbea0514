#include "advisor/probed_path.hpp"

#include <gtest/gtest.h>

#include <array>

namespace tpbench {
namespace {

ProbedPath path_with_points(ProbeOperation operation) {
  ProbedPath path;
  path.operation = operation;
  path.hosts = {"a", "b"};
  path.ranks = {0, 4};
  for (std::int64_t bytes = 8; bytes <= 1 << 20; bytes *= 2) {
    const double seconds = (bytes < 8192 ? 1e-6 : 9e-6) + 1e-9 * static_cast<double>(bytes);
    path.points.push_back({bytes, 4, summarise(std::array{seconds, seconds / 2, seconds * 2})});
  }
  return path;
}

TEST(FitPath, CutsPingPongAtTheLimitThatIsKnown) {
  ProbedPath path = path_with_points(ProbeOperation::ping_pong);
  path.eager_limit_bytes = 8192;
  fit_path(path);
  EXPECT_EQ(path.cut, CutRule::eager_limit);
  ASSERT_EQ(path.pieces.size(), 2U);
  EXPECT_EQ(path.pieces[1].from_bytes, 8192);
  EXPECT_NEAR(path.pieces[0].model.alpha_s, 1e-6, 1e-12) << "by medians";
}

TEST(FitPath, SearchesWhereNoLimitIsKnownOrItIsNotOfThisOperation) {
  ProbedPath unknown = path_with_points(ProbeOperation::ping_pong);
  fit_path(unknown);
  EXPECT_EQ(unknown.cut, CutRule::search);
  ASSERT_EQ(unknown.pieces.size(), 2U);
  EXPECT_EQ(unknown.pieces[1].from_bytes, 8192);

  ProbedPath reduced = path_with_points(ProbeOperation::all_reduce);
  reduced.eager_limit_bytes = 64;
  fit_path(reduced);
  EXPECT_EQ(reduced.cut, CutRule::search);
  EXPECT_EQ(reduced.pieces.size(), 2U);
}

TEST(FitPath, OfNothingIsNothing) {
  ProbedPath path;
  path.problem = "byte 3 arrived wrong";
  fit_path(path);
  EXPECT_TRUE(path.pieces.empty());
  const Json json = probed_path_to_json(path);
  EXPECT_TRUE(json.at("cut").is_null());
  EXPECT_EQ(json.at("problem"), "byte 3 arrived wrong");
}

TEST(ProbedPathJson, SaysWhatIsNotThereAsNull) {
  ProbedPath path = path_with_points(ProbeOperation::ping_pong);
  path.pieces = {{8, 64, 4, {1e-6, 0, 0, 0}}, {128, 1 << 20, 14, {1e-6, 2e-9, 0.01, 0.02}}};
  const Json json = probed_path_to_json(path);
  EXPECT_TRUE(json.at("pieces")[0].at("bandwidth_gb_per_s").is_null()) << "never infinite";
  EXPECT_DOUBLE_EQ(json.at("pieces")[1].at("bandwidth_gb_per_s").get<double>(), 0.5);
  EXPECT_TRUE(json.at("points")[0].at("time_s").at("ci95").is_null()) << "three samples have none";
  EXPECT_TRUE(json.at("eager_limit_bytes").is_null());
  EXPECT_EQ(json.at("path"), "inside_host");
}

}  // namespace
}  // namespace tpbench
