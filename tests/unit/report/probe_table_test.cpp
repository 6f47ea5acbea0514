#include "report/probe_table.hpp"

#include <gtest/gtest.h>

#include <array>

namespace tpbench {
namespace {

bool holds(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

ProbedPath path_of_two_pieces() {
  ProbedPath path;
  path.kind = PathKind::between_hosts;
  path.hosts = {"a", "b"};
  path.ranks = {0, 4};
  path.cut = CutRule::eager_limit;
  path.eager_limit_bytes = 65536;
  path.transport = {{"how", "selected"},
                    {"framework", "btl"},
                    {"component", "tcp"},
                    {"reason", "the only"},
                    {"loopback", true}};
  path.pieces = {{8, 32768, 13, {12e-6, 0, 0.01, 0.034}}, {65536, 1 << 20, 5, {40e-6, 8e-9, 0.012, 0.02}}};
  for (const std::int64_t bytes : {8, 64, 4096, 65536, 1 << 20}) {
    const std::array<double, 6> quiet = {1e-5, 1.01e-5, 1.02e-5, 1.03e-5, 1.04e-5, 1.05e-5};
    path.points.push_back({bytes, 2, summarise(quiet)});
  }
  return path;
}

TEST(RenderProbe, ShowsPiecesWithTheirDeviations) {
  const std::string text = render_probe(std::vector{path_of_two_pieces()});
  EXPECT_TRUE(holds(
      text, "a - b  ping_pong  0-4       8 B  32 KiB  12.0 us           -       1.0 %    3.4 %  eager limit"))
      << text;
  EXPECT_TRUE(holds(text, "40.0 us  0.125 GB/s       1.2 %    2.0 %")) << text;
  EXPECT_TRUE(holds(text, "10.2 us +-2%")) << text;
  EXPECT_FALSE(holds(text, "Mind")) << text;
  EXPECT_FALSE(holds(text, "FAILED")) << text;
}

TEST(RenderProbe, SaysWhatCarriedAndHowThatIsKnown) {
  ProbedPath path = path_of_two_pieces();
  const std::string text = render_probe(std::vector{path, path});
  const std::string line = "a - b: btl tcp (selected): the only; eager limit 64 KiB; both are one kernel";
  EXPECT_TRUE(holds(text, line)) << text;
  EXPECT_EQ(text.find(line), text.rfind(line)) << "once";
  path.transport = {
      {"how", "unknown"}, {"framework", nullptr}, {"component", nullptr}, {"reason", "not told"}};
  EXPECT_TRUE(holds(render_probe(std::vector{path}), "what carries messages is unknown: not told"));
}

TEST(RenderProbe, SaysWhatFailedAndWhatIsHardlyKnown) {
  ProbedPath failed = path_of_two_pieces(), noisy = path_of_two_pieces();
  failed.points.clear();
  failed.pieces.clear();
  failed.problem = "byte 3 is wrong";
  noisy.points[1].time_s = summarise(std::array<double, 6>{1, 1, 1, 1, 1, 4});
  const std::string text = render_probe(std::vector{failed, noisy});
  EXPECT_TRUE(holds(text, "a - b ping_pong 0-4 FAILED, no times: byte 3 is wrong")) << text;
  EXPECT_TRUE(holds(text, "Note: a - b ping_pong 0-4: 1 of 5 medians are known to no better than 25 %"))
      << text;
  noisy.hosts = {"a-host-with-a-long-name.example", "another-host-with-a-long-name.example"};
  const std::string wide = render_probe(std::vector{noisy});
  const std::string mind = wide.substr(wide.find("Note: "));
  EXPECT_LE(mind.find('\n'), kTextWidth) << mind;
}

}  // namespace
}  // namespace tpbench
