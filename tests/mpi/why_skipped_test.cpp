// Which cases are not tried, on hosts that are not there.
#include "bench/why_skipped.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "algorithms.hpp"
#include "compute/products.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

using Hosts = std::vector<int>;

Case linear(const std::string& algorithm, std::int64_t degree) {
  Case point = make_case({"row_linear"}, {4, 24, 96, 4, 4, 4});
  point.algorithm = algorithm;
  point.layout.tp = degree;
  return point;
}

std::string reason_of(const Case& point, const Hosts& host_of, const Hosts& device_of = {}) {
  const auto skip = why_skipped(point, {host_of, device_of});
  if (!skip) return "";
  EXPECT_EQ(skip->code, ReasonCode::placement);
  return skip->reason;
}

TEST(WhySkipped, AnyAlgorithmRunsOnOneHost) {
  for (const AlgorithmEntry* entry : host_algorithms()) {
    for (const std::int64_t degree : {1, 2, 4}) {
      EXPECT_EQ(reason_of(linear(std::string(entry->name), degree), {0, 0, 0, 0}), "");
    }
  }
}

TEST(WhySkipped, ShmNeedsEachGroupOnOneHost) {
  const Hosts two_and_two = {0, 0, 1, 1};
  EXPECT_EQ(reason_of(linear("shm", 2), two_and_two), "");
  const std::string reason = reason_of(linear("shm", 4), two_and_two);
  EXPECT_NE(reason.find("all ranks of a group on one host, and this group of 4 is on 2"), std::string::npos)
      << reason;
  EXPECT_NE(reason.find("a tp_degree of up to 2 with placement packed"), std::string::npos) << reason;

  Case spread = linear("shm", 2);
  spread.placement = Placement::spread;
  EXPECT_NE(reason_of(spread, two_and_two), "");
  spread.layout.tp = 1;
  EXPECT_EQ(reason_of(spread, two_and_two), "");
}

TEST(WhySkipped, LooksAtEveryGroupThatRuns) {
  Case point = linear("shm", 2);
  const Hosts three_and_one = {0, 0, 0, 1};
  EXPECT_EQ(reason_of(point, three_and_one), "") << "one group runs, on the first host";
  point.groups = Groups::all;
  EXPECT_NE(reason_of(point, three_and_one), "");
}

TEST(WhySkipped, HierarchicalNeedsAsManyRanksOnEachHost) {
  EXPECT_EQ(reason_of(linear("hierarchical", 4), {0, 0, 1, 1}), "");
  EXPECT_EQ(reason_of(linear("hierarchical", 4), {0, 1, 1, 0}), "");
  EXPECT_EQ(reason_of(linear("hierarchical", 3), {0, 1, 2}), "");
  const std::string reason = reason_of(linear("hierarchical", 4), {0, 1, 0, 0});
  EXPECT_NE(reason.find("this group of 4 has 3 on one and 1 on another"), std::string::npos) << reason;
}

TEST(WhySkipped, AWorkloadWithoutCollectivesRunsAnywhere) {
  Case point = make_case({"gemm"}, {4, 24, 96, 4, 4, 4});
  point.algorithm.reset();
  point.layout.tp = 4;
  EXPECT_EQ(reason_of(point, {0, 1, 1, 1}), "");
}

TEST(WhySkipped, NcclNeedsADeviceForEachRank) {
  const Hosts one_host = {0, 0, 0, 0};
  EXPECT_EQ(reason_of(linear("nccl", 4), one_host, {0, 1, 2, 3}), "");
  EXPECT_NE(
      reason_of(linear("nccl", 4), one_host).find("algorithms mpi, shm and hierarchical would run here"),
      std::string::npos);
  const std::string reason = reason_of(linear("nccl", 4), one_host, {0, 1, 0, 1});
  EXPECT_NE(reason.find("a GPU for each rank, and this group of 4 has 2"), std::string::npos) << reason;
  EXPECT_EQ(reason_of(linear("nccl", 2), one_host, {0, 1, 0, 1}), "") << "one group runs, on two devices";
}

TEST(WhySkipped, OnDevicesOnlyWhatTakesOperandsThere) {
  const Hosts one_host = {0, 0}, devices = {0, 0};
  EXPECT_EQ(reason_of(linear("mpi", 2), one_host, devices), "");
  for (const char* algorithm : {"shm", "hierarchical"})
    EXPECT_NE(reason_of(linear(algorithm, 2), one_host, devices).find("algorithm mpi would run here"),
              std::string::npos)
        << "the two ranks share a device";
}

// Of a word that stands in a message, the table is the source.
TEST(WhySkipped, NamesOnlyAlgorithmsThatWouldRun) {
  const Hosts layouts[] = {{0, 0, 1, 1}, {0, 1, 0, 0}, {0, 0, 0, 0}},
              devices[] = {{}, {0, 1, 2, 3}, {0, 0, 1, 1}};
  for (const AlgorithmEntry& entry : all_algorithms()) {
    for (const Hosts& hosts : layouts) {
      for (const Hosts& device_of : devices) {
        const std::string reason = reason_of(linear(std::string(entry.name), 4), hosts, device_of);
        if (reason.empty()) continue;
        for (const AlgorithmEntry& other : all_algorithms()) {
          if (other.name == entry.name) continue;
          EXPECT_EQ(reason.find(other.name) != std::string::npos,
                    !why_not_carried(other, {hosts, device_of}, DType::f32))
              << other.name << " in: " << reason;
        }
      }
    }
  }
}

TEST(WhySkipped, OverlapNeedsAThreadThatMayCommunicate) {
  Case point = linear("mpi", 2);
  point.overlap_chunks = 2;
  const Hosts one_host = {0, 0};
  EXPECT_FALSE(why_skipped(point, {one_host, {}, true}));
  const auto skip = why_skipped(point, {one_host, {}, false});
  ASSERT_TRUE(skip);
  EXPECT_EQ(skip->code, ReasonCode::combination);
  EXPECT_NE(skip->reason.find("thread level serialized"), std::string::npos);
  point.overlap_chunks = 1;
  EXPECT_FALSE(why_skipped(point, {one_host, {}, false}));
}

TEST(WhySkipped, ALibraryHasItsElementTypes) {
  const Hosts one_host = {0, 0};
  Case point = linear("mpi", 2);
  for (const DType dtype : {DType::f16, DType::bf16}) {
    point.dtype = dtype;
    const auto skip = why_skipped(point, {one_host, {}});
    ASSERT_TRUE(skip);
    EXPECT_EQ(skip->code, ReasonCode::combination);
    const std::string reason =
        fmt::format("library openblas does not multiply matrices in {}", name_of(dtype));
    EXPECT_TRUE(skip->reason.starts_with(reason)) << skip->reason;
    const bool other = !find_library("onednn")->why_not(dtype);
    EXPECT_EQ(skip->reason.ends_with("; library onednn does"), other) << skip->reason;
  }
  // What multiplies nothing runs in any of them.
  Case probe = make_case({"all_reduce"}, {4, 24, 96, 4, 4, 4});
  probe.layout.tp = 2;
  probe.dtype = DType::bf16;
  normalise_case(probe);
  EXPECT_FALSE(probe.library);
  EXPECT_FALSE(why_skipped(probe, {one_host, {}}));
}

TEST(WhySkipped, OnlyALibraryThatPacksPacksAndOnlyForInference) {
  const Hosts one_host = {0, 0};
  Case point = linear("mpi", 2);
  point.weight_layout = WeightLayout::packed;
  EXPECT_TRUE(
      why_skipped(point, {one_host, {}})->reason.starts_with("library openblas multiplies weights as"));
  if (find_library("onednn")->why_not(DType::f32)) GTEST_SKIP() << "no oneDNN";
  point.library = "onednn";
  EXPECT_FALSE(why_skipped(point, {one_host, {}}));
  point.pass = Pass::forward_backward;
  EXPECT_TRUE(
      why_skipped(point, {one_host, {}})->reason.starts_with("weight_layout packed is for pass forward"));
}

TEST(WhySkipped, ABackendHasItsElementTypes) {
  Case point = linear("mpi", 2);
  point.dtype = DType::tf32;
  const Hosts one_host = {0, 0}, devices = {0, 1};
  const auto skip = why_skipped(point, {one_host, {}});
  ASSERT_TRUE(skip);
  EXPECT_EQ(skip->code, ReasonCode::combination);
  EXPECT_EQ(skip->reason, "backend cpu does not compute in dtype tf32; it does in f32, f64, f16, bf16");
  point.backend = "cuda";
  EXPECT_FALSE(why_skipped(point, {one_host, devices}));
}

TEST(WhySkipped, SaysFirstWhatNoPlacementWouldCure) {
  const Hosts two_and_two = {0, 0, 1, 1};
  EXPECT_EQ(why_skipped(linear("shm", 8), {two_and_two, {}})->code, ReasonCode::ranks);
  EXPECT_EQ(why_skipped(linear("shm", 5), {two_and_two, {}})->code, ReasonCode::divisibility);
}

}  // namespace
}  // namespace tpbench::test
