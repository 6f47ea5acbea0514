// Timelines, as Perfetto reads them: slices of a thread nest, arrows point forward, and the sums are those of
// the step.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/json.hpp"
#include "base/text.hpp"
#include "report/chrome_trace.hpp"
#include "report/samples_table.hpp"
#include "result/record_tables.hpp"
#include "sample_sets.hpp"

namespace tpbench {
namespace {

// Four ranks on two hosts; rank 3 is late to the second all-reduce. Times in milliseconds.
StepTrace four_ranks() {
  StepTrace trace;
  trace.id = "mlp-tp4";
  trace.step_s = 10e-3;
  trace.clock_error_s = 20e-6;
  for (std::int64_t rank = 0; rank < 4; ++rank) {
    const double late = rank == 3 ? 1e-3 : 0;
    TraceRank traced;
    traced.rank = rank;
    traced.host = rank < 2 ? "a" : "b";
    traced.events = {{.kind = "compute", .start_s = 0, .end_s = 2e-3},
                     {.kind = "all_reduce", .bytes = 4096, .start_s = 2e-3, .end_s = 4e-3},
                     {.kind = "compute", .start_s = 4e-3, .end_s = 7e-3 + late},
                     {.kind = "all_reduce", .bytes = 4096, .start_s = 7e-3 + late, .end_s = 10e-3}};
    trace.ranks.push_back(std::move(traced));
  }
  return trace;
}

// What the format asks for, strictly; returns the slices by thread.
std::map<std::pair<std::int64_t, std::int64_t>, std::vector<Json>> check(const Json& document,
                                                                         double error_us) {
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<Json>> slices;
  std::map<std::int64_t, Json> starts;
  std::size_t ends = 0;
  for (const Json& event : document.at("traceEvents")) {
    const std::string phase = event.at("ph").get<std::string>();
    EXPECT_TRUE(event.at("pid").is_number_integer() && event.at("tid").is_number_integer());
    EXPECT_TRUE(event.at("name").is_string());
    if (phase == "M") {
      EXPECT_TRUE(event.at("args").is_object());
      continue;
    }
    EXPECT_TRUE(std::isfinite(event.at("ts").get<double>()));
    if (phase == "X") {
      EXPECT_GE(event.at("dur").get<double>(), 0);
      slices[{event.at("pid").get<std::int64_t>(), event.at("tid").get<std::int64_t>()}].push_back(event);
    } else if (phase == "s") {
      EXPECT_TRUE(starts.emplace(event.at("id").get<std::int64_t>(), event).second) << "an id is one arrow";
    } else {
      EXPECT_EQ(phase, "f");
      EXPECT_EQ(event.at("bp"), "e");
      ++ends;
      const auto start = starts.find(event.at("id").get<std::int64_t>());
      EXPECT_NE(start, starts.end());
      EXPECT_GE(event.at("ts").get<double>(), start->second.at("ts").get<double>() - error_us);
    }
  }
  EXPECT_EQ(ends, starts.size());
  for (const auto& [thread, events] : slices) {
    for (std::size_t i = 1; i < events.size(); ++i) {
      EXPECT_GE(events[i].at("ts").get<double>() + 1e-9,
                events[i - 1].at("ts").get<double>() + events[i - 1].at("dur").get<double>())
          << "slices of one thread follow each other";
    }
  }
  return slices;
}

TEST(ChromeTrace, NestsAndPointsForward) {
  const StepTrace trace = four_ranks();
  const Json document = Json::parse(chrome_trace({&trace, 1}));
  const auto slices = check(document, trace.clock_error_s * 1e6);
  EXPECT_EQ(slices.size(), 8U) << "compute and communication of four ranks";
  double compute_us = 0, step_us = 0;
  for (const auto& [thread, events] : slices) {
    for (const Json& event : events) {
      if (event.at("name") == "compute") compute_us += event.at("dur").get<double>();
      step_us = std::max(step_us, event.at("ts").get<double>() + event.at("dur").get<double>());
    }
  }
  EXPECT_NEAR(compute_us, 4 * 5000 + 1000, 1e-6);
  EXPECT_NEAR(step_us, 10000, 1e-6);
}

TEST(ChromeTrace, ArrowsComeFromTheRankThatWasLast) {
  const StepTrace trace = four_ranks();
  std::size_t of_rank_3 = 0, arrows = 0;
  const Json document = Json::parse(chrome_trace({&trace, 1}));
  for (const Json& event : document.at("traceEvents")) {
    if (event.at("ph") != "s") continue;
    ++arrows;
    of_rank_3 += event.at("ts") == 8000.0 && event.at("tid") == 7 ? 1 : 0;
  }
  EXPECT_EQ(arrows, 6U) << "two all-reduces, three others in each";
  EXPECT_EQ(of_rank_3, 3U);
}

TEST(ChromeTrace, HostsAreProcessesAndSayTheClocksError) {
  const StepTrace trace = four_ranks();
  const std::string text = chrome_trace({&trace, 1});
  EXPECT_NE(text.find("\"name\":\"a: mlp-tp4\""), std::string::npos);
  EXPECT_NE(text.find("\"name\":\"rank 3 communication\""), std::string::npos);
  EXPECT_NE(text.find("\"clock_error_us\":20.0"), std::string::npos);
}

TEST(ChromeTrace, SeveralCasesKeepApart) {
  const std::vector<StepTrace> traces = {four_ranks(), four_ranks()};
  EXPECT_EQ(check(Json::parse(chrome_trace(traces)), 20).size(), 16U);
}

TEST(ChromeTrace, PartsOfAGroupMeetAmongThemselves) {
  StepTrace trace = four_ranks();
  for (TraceRank& rank : trace.ranks) {
    for (TraceEvent& event : rank.events) event.group = event.kind == "compute" ? 0 : 2;
  }
  std::size_t arrows = 0;
  const Json document = Json::parse(chrome_trace({&trace, 1}));
  for (const Json& event : document.at("traceEvents")) arrows += event.at("ph") == "s" ? 1 : 0;
  EXPECT_EQ(arrows, 4U) << "two pairs, twice";
}

// Two stages of two ranks each, which send to the rank of their place.
TEST(ChromeTrace, MessagesGoFromTheirSenderToTheirReceiver) {
  StepTrace trace;
  trace.id = "mlp-tp2-pp2";
  for (std::int64_t rank = 0; rank < 4; ++rank) {
    TraceRank traced;
    traced.rank = rank;
    traced.host = "a";
    for (std::int64_t microbatch = 0; microbatch < 2; ++microbatch) {
      const double at = 1e-3 * static_cast<double>(microbatch);
      const bool sends = rank < 2;
      traced.events.push_back({.kind = sends ? "send" : "receive",
                               .bytes = 64,
                               .stage = 1,
                               .microbatch = microbatch,
                               .start_s = at + (sends ? 2e-3 : 0),
                               .end_s = at + 3e-3});
    }
    trace.ranks.push_back(std::move(traced));
  }
  const Json document = Json::parse(chrome_trace({&trace, 1}));
  std::map<std::int64_t, std::vector<std::int64_t>> threads;
  for (const Json& event : document.at("traceEvents")) {
    if (event.at("ph") == "s" || event.at("ph") == "f")
      threads[event.at("id").get<std::int64_t>()].push_back(event.at("tid").get<std::int64_t>());
  }
  ASSERT_EQ(threads.size(), 4U);
  for (const auto& [id, ends] : threads) EXPECT_EQ(ends.at(1) - ends.at(0), 4) << "two ranks further";
}

TEST(ChromeTrace, DrawsNoArrowsWithoutACommonClock) {
  StepTrace trace = four_ranks();
  trace.is_aligned = false;
  EXPECT_EQ(chrome_trace({&trace, 1}).find("\"ph\":\"s\""), std::string::npos);
}

TEST(StepTrace, ReadsWhatItWrites) {
  const StepTrace trace = four_ranks();
  const Json json = trace_to_json(trace);
  EXPECT_EQ(trace_to_json(trace_from_json(json)), json);
  EXPECT_THROW((void)trace_from_json(Json::object()), std::runtime_error);
  Json broken = json;
  broken["ranks"][0]["events"][0].erase("kind");
  try {
    (void)trace_from_json(broken);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("/ranks/0/events/0"), std::string::npos) << error.what();
  }
}

TEST(Samples, AreRowsWithWhatSaysWhereTheyComeFrom) {
  ResultSet set;
  set.records = {
      sample::make_ok(sample::make_case("mlp", 1), {.compute = 1e-3}),
      sample::make_not_ok(sample::make_case("mlp", 2), Status::skipped, ReasonCode::ranks, "1 rank")};
  set.environments["environment.json"] = {{"tool", {{"git_revision", "0123456789ab"}}},
                                          {"noise", {{"worst_rank_relative", 0.02}}}};
  const auto lines = split(render_samples(set), '\n');
  EXPECT_TRUE(lines[0].starts_with("id,label,started_at,hosts,world,git_revision,noise,workload,pass,"))
      << lines[0];
  EXPECT_TRUE(lines[0].ends_with(",quantity,sample,epoch,seconds")) << lines[0];
  std::size_t rows = 0;
  for (const QuantityRow& row : kQuantities) rows += ((*set.records[0].time).*row.member).samples_s.size();
  EXPECT_EQ(lines.size(), rows + 2) << "a heading, and nothing behind the last line end";
  EXPECT_TRUE(lines[1].starts_with(set.records[0].id +
                                   ",eth-1g,2026-11-22T12:00:00Z,node,8,0123456789ab,0.02,mlp,forward,"))
      << lines[1];
  EXPECT_NE(lines[1].find(",step,0,0,"), std::string::npos) << lines[1];
}

TEST(RankResults, OfMoreThan64AreThoseAtBothEnds) {
  std::vector<RankResult> ranks(100);
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    ranks[i].rank = static_cast<std::int64_t>(i);
    ranks[i].compute_s = static_cast<double>((i * 37) % 100);
  }
  const RankResults results = bounded_ranks(ranks, 10);
  EXPECT_EQ(results.count, 100);
  ASSERT_EQ(results.listed.size(), kMostRanks);
  EXPECT_EQ(results.listed.front().compute_s, 99);
  EXPECT_EQ(results.listed[31].compute_s, 68);
  EXPECT_EQ(results.listed[32].compute_s, 31);
  EXPECT_EQ(results.listed.back().compute_s, 0);
  EXPECT_EQ(results.spread[0].quantity, "compute_s");
  EXPECT_EQ(results.spread[0].max, 99);
  EXPECT_NEAR(results.spread[0].median, 49.5, 1e-9);
  ranks.resize(64);
  EXPECT_EQ(bounded_ranks(ranks, 10).listed.size(), 64U);
}

}  // namespace
}  // namespace tpbench
