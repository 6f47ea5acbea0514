// The page, as text: what is drawn lies at the values of the records, and nothing is loaded.
// tests/e2e/page_test.py shows it to a browser.
#include "report/page.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <regex>
#include <sstream>
#include <tuple>

#include "base/json.hpp"
#include "report/svg.hpp"
#include "report/svg_plot.hpp"
#include "sample_sets.hpp"

namespace tpbench {
namespace {

using sample::make_case;
using sample::make_ok;

ResultSet scaling_set(const std::string& label, double communication_s) {
  ResultSet set;
  set.path = "results/" + label;
  set.label = label;
  for (const std::int64_t degree : {1, 2, 4, 8}) {
    const double compute_s = 8e-3 / static_cast<double>(degree);
    set.records.push_back(
        make_ok(make_case("mlp", degree),
                {.compute = compute_s, .communication = degree > 1 ? communication_s : 0, .other = 1e-5}));
  }
  for (const std::int64_t hidden : {256, 512, 1024, 2048}) {
    Record record = make_ok(make_case("all_reduce", 2, hidden),
                            {.communication = 1e-5 + static_cast<double>(hidden) * 1e-8});
    for (CollectiveResult& collective : record.collectives)
      collective.algbw_gb_per_s =
          static_cast<double>(collective.bytes) / record.time->communication.summary.median / 1e9;
    set.records.push_back(record);
  }
  apply_scaling(set.records);
  set.environments["environment.json"] = {
      {"schema", "tpbench.environment/2"}, {"label", label}, {"noise", {{"worst_rank_relative", 0.01}}}};
  return set;
}

std::string page_of(const std::vector<ResultSet>& sets) { return to_html(make_page(sets)); }

// ---- reading values back

struct ReadAxis {
  bool is_logarithmic = false;
  double low = 0, high = 1, from = 0, to = 1;
  [[nodiscard]] double value(double pixel) const {
    const double share = (pixel - from) / (to - from);
    return is_logarithmic ? low * std::pow(high / low, share) : low + share * (high - low);
  }
};

ReadAxis read_axis(const std::string& transform) {
  std::istringstream text(transform);
  std::string kind;
  ReadAxis axis;
  text >> kind >> axis.low >> axis.high >> axis.from >> axis.to;
  axis.is_logarithmic = kind == "log";
  return axis;
}

// The figures of a page, by title and in order.
std::vector<std::string> figures_of(const std::string& page, const std::string& title) {
  std::vector<std::string> found;
  const std::string begin = "<figure><figcaption><strong>" + title + "</strong>";
  for (std::size_t at = page.find(begin); at != std::string::npos; at = page.find(begin, at + 1))
    found.push_back(page.substr(at, page.find("</figure>", at) - at));
  return found;
}

std::string attribute(const std::string& text, const std::string& name) {
  std::smatch found;
  return std::regex_search(text, found, std::regex(name + "=\"([^\"]*)\"")) ? found[1].str() : "";
}

// Marks of a curve as (x, y) values.
std::vector<std::pair<double, double>> marks_of(const std::string& figure, const std::string& curve) {
  const ReadAxis x = read_axis(attribute(figure, "data-x")), y = read_axis(attribute(figure, "data-y"));
  const std::size_t from = figure.find("data-curve=\"" + curve + "\"");
  const std::string part = figure.substr(from, figure.find("</g>", from) - from);
  const std::regex mark("data-at=\"([-0-9.]+) ([-0-9.]+)\"");
  std::vector<std::pair<double, double>> marks;
  for (auto it = std::sregex_iterator(part.begin(), part.end(), mark); it != std::sregex_iterator(); ++it)
    marks.emplace_back(x.value(std::stod((*it)[1])), y.value(std::stod((*it)[2])));
  return marks;
}

TEST(Page, StepsAreDrawnAtTheValuesOfTheRecords) {
  const std::vector<ResultSet> sets = {scaling_set("eth-1g", 3e-3), scaling_set("eth-10g", 4e-4)};
  const auto figures = figures_of(page_of(sets), "Step over TP degree");
  ASSERT_EQ(figures.size(), 1U);
  for (const ResultSet& set : sets) {
    const auto marks = marks_of(figures[0], set.label);
    ASSERT_EQ(marks.size(), 4U);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(marks[i].first / static_cast<double>(set.records[i].point.layout.tp), 1, 1e-3);
      EXPECT_NEAR(marks[i].second / set.records[i].time->step.summary.median, 1, 1e-3);
    }
  }
}

TEST(Page, PartsAreStackedAsHighAsTheyTookTimesTheRanks) {
  const std::vector<ResultSet> sets = {scaling_set("eth-1g", 3e-3)};
  const auto figures = figures_of(page_of(sets), "Where the time goes");
  ASSERT_EQ(figures.size(), 1U);
  const ReadAxis y = read_axis(attribute(figures[0], "data-y"));
  for (const Record& record : sets[0].records) {
    if (record.point.workload != "mlp") continue;
    const std::size_t from = figures[0].find("data-bar=\"" + record.point.layout.title() + "\"");
    ASSERT_NE(from, std::string::npos);
    const std::string bar = figures[0].substr(from, figures[0].find("</g>", from) - from);
    double height = 0;
    const std::regex heights(" height=\"([0-9.]+)\"");
    for (auto it = std::sregex_iterator(bar.begin(), bar.end(), heights); it != std::sregex_iterator(); ++it)
      height += std::stod((*it)[1]);
    const double wanted = static_cast<double>(record.point.layout.ranks()) *
                          (record.time->compute.summary.median + record.time->communication.summary.median +
                           record.time->other.summary.median);
    EXPECT_NEAR(y.value(y.from - height) / wanted, 1, 3e-3) << record.id;
  }
}

TEST(Page, CollectivesHaveTheirSizesAndAFit) {
  const std::vector<ResultSet> sets = {scaling_set("eth-1g", 3e-3)};
  const std::string page = page_of(sets);
  const auto figures = figures_of(page, "all_reduce");
  ASSERT_EQ(figures.size(), 1U);
  EXPECT_NE(figures[0].find("data-curve=\"2 ranks, mpi: fit\""), std::string::npos);
  std::map<double, double> wanted;
  for (const Record& record : sets[0].records) {
    for (const CollectiveResult& collective : record.collectives) {
      if (collective.algbw_gb_per_s && collective.ranks == 2)
        wanted[static_cast<double>(collective.bytes)] =
            static_cast<double>(collective.bytes) / *collective.algbw_gb_per_s / 1e9;
    }
  }
  const auto marks = marks_of(figures[0], "2 ranks, mpi");
  EXPECT_GE(marks.size(), 4U);
  for (const auto& [bytes, seconds] : marks) {
    const auto nearest = std::min_element(wanted.begin(), wanted.end(), [&](const auto& a, const auto& b) {
      return std::abs(std::log(a.first / bytes)) < std::abs(std::log(b.first / bytes));
    });
    EXPECT_NEAR(bytes / nearest->first, 1, 2e-3);
  }
  EXPECT_NE(page.find("GB/s)"), std::string::npos);
}

TEST(Page, AnswersFirst) {
  const std::string one = page_of({scaling_set("eth-1g", 3e-3)});
  const std::size_t answer = one.find("<h2>Answer</h2>"), sure = one.find("<h2>How sure</h2>"),
                    machine = one.find("<h2>Machine</h2>");
  ASSERT_NE(answer, std::string::npos);
  EXPECT_LT(answer, sure);
  EXPECT_LT(sure, machine);
  EXPECT_LT(machine, one.find("<figure>"));
  EXPECT_NE(one.find("mlp h=4096 T=128: fastest at TP "), std::string::npos);
  EXPECT_NE(one.find("Nothing was found to be wrong"), std::string::npos);
  ResultSet busy = scaling_set("eth-1g", 3e-3);
  for (Record& record : busy.records)
    record.warnings = {{"oversubscribed", "8 ranks on 2 cores of n1: times are not those of 8 devices"}};
  const std::string page = page_of({busy});
  EXPECT_NE(page.find("8 ranks on 2 cores of n1 (8 of 8 cases)."), std::string::npos);
  EXPECT_EQ(page.find("Nothing was found to be wrong"), std::string::npos);
  EXPECT_NE(page.find("cannot say why: 8 ranks on 2 cores of n1"), std::string::npos);
}

TEST(Page, ComparesFolders) {
  const std::string page = page_of({scaling_set("eth-1g", 3e-3), scaling_set("eth-10g", 4e-4)});
  EXPECT_NE(page.find("Folders side by side"), std::string::npos);
  EXPECT_NE(page.find("eth-10g is faster than eth-1g in "), std::string::npos);
  ResultSet other = scaling_set("other", 1e-3);
  std::erase_if(other.records, [](const Record& record) {
    return record.point.workload == "mlp" || record.point.hidden_size != 256;
  });
  for (Record& record : other.records) record.id = "another";
  EXPECT_NE(page_of({scaling_set("eth-1g", 3e-3), other}).find("other has no case in common with eth-1g."),
            std::string::npos);
}

TEST(Page, FoldersWhoseIntervalsOverlapHaveNoWinner) {
  const std::string alike = page_of({scaling_set("a", 3e-3), scaling_set("b", 3e-3)});
  EXPECT_NE(alike.find("mlp h=4096 T=128: no clear winner: "), std::string::npos);
  const std::string apart = page_of({scaling_set("a", 3e-3), scaling_set("b", 4e-4)});
  EXPECT_NE(apart.find("mlp h=4096 T=128: fastest on b at TP 8 ("), std::string::npos);
}

TEST(Page, SplitsAreTpAcrossAndPpDown) {
  ResultSet set = scaling_set("eth-1g", 3e-3);
  for (const auto& [tp, pp, step_s] :
       {std::tuple(4, 1, 4e-3), std::tuple(2, 2, 3e-3), std::tuple(1, 4, 5e-3), std::tuple(1, 2, 6e-3)}) {
    for (const double slower : {1.0, 1.5}) {  // the soonest of a layout counts
      Case point = make_case("block", tp);
      point.layout.pp = pp;
      point.microbatches = slower > 1 ? 1 : 4;
      normalise_case(point);
      set.records.push_back(make_ok(point, {.compute = step_s * slower}));
    }
  }
  const std::string page = page_of({set});
  EXPECT_NE(page.find("TP x PP</h2>"), std::string::npos);
  EXPECT_NE(page.find("4 ranks, throughput: TP 2 PP 2 m 4"), std::string::npos);
  EXPECT_NE(page.find("<tr><th scope=row>PP 2<td class=n>6.00 ms<td class=n>3.00 ms<td class=n>-"),
            std::string::npos)
      << page;
  const auto figures = figures_of(page, "Step over ranks, by stages");
  ASSERT_EQ(figures.size(), 1U);
  const auto two_stages = marks_of(figures[0], "PP 2");
  ASSERT_EQ(two_stages.size(), 2U);
  EXPECT_NEAR(two_stages[0].first, 2, 0.01);
  EXPECT_NEAR(two_stages[1].second, 3e-3, 3e-5);
  EXPECT_EQ(page_of({scaling_set("eth-1g", 3e-3)}).find("TP x PP"), std::string::npos);
}

// TP 1 everywhere: the stages are the answer, with one of them and without.
TEST(Page, AnswersWithStagesWhereNoLayerIsDivided) {
  ResultSet set;
  set.path = "results/pp";
  const auto add = [&](std::int64_t pp, double step_s) {
    Case point = make_case("block", 1);
    point.layout.pp = pp;
    point.num_layers = point.batch_size = 4;
    point.microbatches = pp;
    normalise_case(point);
    set.records.push_back(make_ok(point, {.compute = step_s}));
  };
  const auto answer = [&] {
    const std::string page = page_of({set});
    const std::size_t from = page.find("Answer</h2>");
    return page.substr(from, page.find("</section>", from) - from);
  };
  add(4, 512.0 / 50000);
  EXPECT_NE(
      answer().find("block h=4096 T=512, any number of ranks, throughput: TP 1 PP 4 m 4, 50000 tokens/s, the "
                    "only layout that was timed; 100 % of the step is compute"),
      std::string::npos)
      << answer();
  add(2, 512.0 / 25000);
  const std::string with_rival =
      "throughput: TP 1 PP 4 m 4, 50000 tokens/s; 2.00 times as fast as TP 1 PP 2 m 2 (";
  EXPECT_NE(answer().find(with_rival), std::string::npos) << answer();
  add(1, 1);
  EXPECT_NE(answer().find(with_rival), std::string::npos) << answer();
  EXPECT_EQ(answer().find("the only degree tested"), std::string::npos) << answer();
  EXPECT_EQ(page_of({set}).find("see the collectives"), std::string::npos);
  EXPECT_EQ(page_of({set}).find("The verdict is certain"), std::string::npos) << "none is said";
  for (Record& record : set.records) {
    record.status = Status::failed;
    record.time.reset();
  }
  set.records.pop_back();
  EXPECT_NE(answer().find("Nothing was measured."), std::string::npos) << answer();
  EXPECT_NE(page_of({ResultSet()}).find("see the collectives"), std::string::npos) << "as before";
}

TEST(Page, DrawsSamplesOfFlaggedCases) {
  ResultSet set = scaling_set("eth-1g", 3e-3);
  set.records[2].warnings = {{"machine_drift", "the machine changed while the case ran: so it did"}};
  const std::string page = page_of({set});
  const auto figures = figures_of(page, set.records[2].id);
  ASSERT_EQ(figures.size(), 1U);
  const auto marks = marks_of(figures[0], "sample");
  ASSERT_EQ(marks.size(), set.records[2].time->step.samples_s.size());
  for (std::size_t i = 0; i < marks.size(); ++i)
    EXPECT_NEAR(marks[i].second / set.records[2].time->step.samples_s[i], 1, 2e-3);
  EXPECT_EQ(page_of({scaling_set("eth-1g", 3e-3)}).find("Samples over time"), std::string::npos);
}

TEST(Page, LoadsNothingAndRunsNothing) {
  const std::string page = page_of({scaling_set("eth-1g", 3e-3)});
  for (const char* forbidden :
       {"<script", "http:", "https:", "src=", "url(", "@import", " style=\"", "javascript:", "onload"})
    EXPECT_EQ(page.find(forbidden), std::string::npos) << forbidden;
  EXPECT_NE(page.find("default-src 'none'; style-src 'sha256-"), std::string::npos);
}

TEST(Page, LabelsCannotSayAnythingToABrowser) {
  ResultSet set = scaling_set("eth-1g", 3e-3);
  for (Record& record : set.records) record.label = "<script>alert(1)</script>\"&\xff";
  set.label = set.records.front().label;
  set.records[0].warnings = {{"odd", "<img src=x onerror=alert(1)>"}};
  const std::string page = page_of({set});
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;\xef\xbf\xbd"), std::string::npos);
}

TEST(Html, EscapesWhatIsNoText) {
  EXPECT_EQ(escaped_html("a<b>&\"c"), "a&lt;b&gt;&amp;&quot;c");
  EXPECT_EQ(escaped_html("\xc3\xa9 \xe2\x82\xac"), "\xc3\xa9 \xe2\x82\xac");
  EXPECT_EQ(escaped_html("\xc3"), "\xef\xbf\xbd");
  EXPECT_EQ(escaped_html("\x01z"), "\xef\xbf\xbdz");
}

TEST(Svg, TicksAreRound) {
  const svg::Axis axis({.kind = Kind::seconds}, {0, 0.0123}, 100, 0, true);
  for (const double tick : axis.ticks()) EXPECT_NEAR(tick, 0.005 * std::round(tick / 0.005), 1e-9) << tick;
  EXPECT_EQ(svg::tick_text(Kind::seconds, 0.002), "2 ms");
  EXPECT_EQ(svg::tick_text(Kind::bytes, 5e8), "500 MB");
  EXPECT_EQ(svg::tick_text(Kind::plain, 8), "8");
}

TEST(Page, OfNothingThatRan) {
  ResultSet set;
  set.path = "results/empty";
  set.records = {sample::make_not_ok(make_case("mlp", 16), Status::skipped, ReasonCode::ranks, "2 ranks")};
  const std::string page = page_of({set});
  EXPECT_NE(page.find("Nothing was measured."), std::string::npos);
  EXPECT_NE(page.find("skipped: 2 ranks"), std::string::npos);
}

}  // namespace
}  // namespace tpbench
