#include "report/compare_render.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.hpp"
#include "base/text.hpp"
#include "report/document.hpp"
#include "sample_sets.hpp"

namespace tpbench {
namespace {

using sample::make_case;
using sample::make_not_ok;
using sample::make_ok;

// Every case measured in eight epochs that agree to a thousandth.
Record measured(const std::string& workload, std::int64_t degree, double compute_s, double communication_s) {
  Record record = make_ok(make_case(workload, degree), {});
  const auto quantity = [](double seconds) {
    std::vector<std::vector<double>> epochs;
    for (int i = 0; i < 8; ++i) epochs.push_back(std::vector<double>(5, seconds * (1 + 1e-4 * (i * 3 % 8))));
    return sample::of_epochs(epochs);
  };
  record.time->step = quantity(compute_s + communication_s);
  record.time->compute = quantity(compute_s);
  record.time->communication = quantity(communication_s);
  record.epochs_done = record.epochs_planned = 8;
  return record;
}

ResultSet folder(const std::string& path, const std::string& label, double communication_s, const Json& mpi) {
  ResultSet set;
  set.path = path;
  set.label = label;
  set.records = {measured("mlp", 1, 8e-3, 0), measured("mlp", 2, 4e-3, communication_s),
                 measured("all_reduce", 2, 0, communication_s)};
  apply_scaling(set.records);
  set.environments["environment.json"] = {{"schema", "tpbench.environment/1"},
                                          {"started_at", path},
                                          {"mpi", mpi},
                                          {"noise", {{"worst_rank_relative", 0.01}}}};
  return set;
}

struct Pair {
  ResultSet a = folder("results/a", "eth-1g", 5e-3, {{"btl", "tcp"}, {"pml", "ob1"}});
  ResultSet b = folder("results/b", "eth-10g", 1e-3, {{"btl", "vader"}, {"pml", "ob1"}});
  Pair() {
    b.records.push_back(make_not_ok(make_case("mlp", 3), Status::skipped, ReasonCode::ranks, "2 ranks"));
  }
  [[nodiscard]] std::vector<Comparison> compared() const { return {compare(a, b)}; }
};

TEST(CompareRender, SaysOnceWhatKeepsManyCasesApart) {
  Pair pair;
  for (const std::int64_t degree : {5, 6, 7}) {
    pair.b.records.push_back(
        make_not_ok(make_case("mlp", degree), Status::skipped, ReasonCode::ranks, "2 ranks"));
  }
  const auto text = [&] { return render_comparisons(CompareFormat::table, pair.compared()); };
  EXPECT_NE(text().find("-tp7-"), std::string::npos) << "four are few";
  pair.b.records.push_back(make_not_ok(make_case("mlp", 9), Status::skipped, ReasonCode::ranks, "2 ranks"));
  EXPECT_EQ(text().find("-tp7-"), std::string::npos);
  EXPECT_NE(text().find("5 cases  A absent; B skipped: 2 ranks"), std::string::npos) << text();
}

TEST(CompareRender, ReadsAsAPersonWantsIt) {
  const Pair pair;
  EXPECT_EQ('\n' + render_comparisons(CompareFormat::table, pair.compared()), R"(
Comparison
B is faster than A in 2 of 3 cases and slower in none, beyond chance and noise; its steps take 0.48 times as long
  in the geometric mean.
A: results/a, label eth-1g; 3 of 3 cases ok; noise 0.01
B: results/b, label eth-10g; 3 of 4 cases ok; noise 0.01
A step that changes by 2.9 % or more would show in 9 of 10 cases (at 95 %). One launch on each side knows nothing
  of how launches differ: scripts/alternate.sh runs several in turn.
All cases: pass=forward backend=cpu dtype=f32 h=4096 f=16384 layers=1 batch=1 seq=128 algorithm=mpi SP=false
  chunks=1 placement=packed groups=one threads=1 act=gelu cache=warm seed=1

workload    TP   step A        B   B/A  95 %        shows          compute A        B   B/A     comm A        B   B/A
all_reduce   2  5.00 ms  1.00 ms  0.20  0.20..0.20  2.9 %  faster          -        -     -    5.00 ms  1.00 ms  0.20  faster
mlp          1  8.00 ms  8.00 ms  1.00  1.00..1.00  2.9 %            8.00 ms  8.00 ms  1.00          -        -     -
mlp          2  9.00 ms  5.00 ms  0.56  0.56..0.56  2.9 %  faster    4.00 ms  4.00 ms  1.00    5.00 ms  1.00 ms  0.20  faster

Medians; B/A above 1: B takes longer. "slower" and "faster" stand where the difference is larger than the noise of
  both and beyond chance: tested over the medians of epochs, adjusted for the number of cells (Benjamini-Hochberg,
  at most 5 % of the marks expected to be wrong). "noise 80 %": beyond chance, and hidden by noise of that size. No
  word: no difference beyond chance; the interval is of this cell alone. "shows": the smallest change that would be
  marked in 9 of 10 such comparisons. docs/compare.md explains.

B against A, all cases
               geometric mean  ratios  slower  faster  within noise  not judged  shows in 9 of 10
step                     0.48       3       0       2             1           0             2.9 %
compute                  1.00       2       0       0             2           1             2.9 %
communication            0.20       2       0       2             0           1             2.9 %

Not compared
case
mlp-h4096-b1-s128-tp3-11bdfb8b8095  A absent; B skipped: 2 ranks

What differs in the environments
key      A      B
mpi/btl  "tcp"  "vader"

Useful degree (efficiency at least 0.50 in A, 0.50 in B)
workload and shape     A   eff     B   eff  what stops the next
mlp h=4096 T=128    TP 1  1.00  TP 2  0.80  A: communication at TP 2; B: ranks at TP 3
)");
}

TEST(CompareRender, SaysWhereAUsefulDegreeIsNotTheWholeStory) {
  Pair pair;
  // 8 s in degree 1: efficiencies of 0.40 at TP 2 and 0.60 at TP 4, known to 30 %.
  pair.b.records = {make_ok(make_case("mlp", 1), {.compute = 8}),
                    make_ok(make_case("mlp", 2), {.compute = 10}),
                    make_ok(make_case("mlp", 4), {.compute = 8 / 2.4})};
  for (Record& record : pair.b.records) {
    Summary& step = record.time->step.summary;
    step.ci95 = {{step.median * 0.99, step.median * 1.01}};
  }
  pair.b.records[2].time->step.summary.ci95 = {{8 / 2.4 * 0.7, 8 / 2.4 * 1.3}};
  apply_scaling(pair.b.records);
  const std::string below = "B, mlp h=4096 T=128: TP 2 (0.40) is below the floor.";
  const std::string open =
      "B, mlp h=4096 T=128: not certain (?): the efficiency of TP 4 is between 0.46 and 0.87.";
  for (const CompareFormat format : {CompareFormat::table, CompareFormat::markdown}) {
    const std::string text = render_comparisons(format, pair.compared());
    EXPECT_NE(text.find(below), std::string::npos) << text;
    EXPECT_NE(text.find(open), std::string::npos) << text;
    EXPECT_NE(text.find("TP 4?"), std::string::npos) << text;
  }
  const Json document = Json::parse(render_comparisons(CompareFormat::json, pair.compared()));
  const Json& useful = document.at("comparisons").at(0).at("useful_degree").at(0).at("other");
  EXPECT_EQ(useful.at("degree"), 4);
  EXPECT_EQ(useful.at("below_floor"), Json({2}));
  EXPECT_EQ(useful.at("doubtful"), Json({4}));
  EXPECT_EQ(useful.at("is_certain"), false);
}

TEST(CompareRender, FitsATerminalAndIsPlainAscii) {
  const Pair pair;
  const std::string text = render_comparisons(CompareFormat::table, pair.compared());
  EXPECT_TRUE(
      std::all_of(text.begin(), text.end(), [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  for (const std::string& line : split(text, '\n')) EXPECT_LE(line.size(), 140U) << line;
}

TEST(CompareRender, MarkdownHasTheSameCells) {
  const Pair pair;
  const std::string page = render_comparisons(CompareFormat::markdown, pair.compared());
  EXPECT_NE(page.find("## Comparison\n\n- B is faster than A in 2 of 3 cases and slower in none, beyond "
                      "chance and noise; its "
                      "steps take 0.48 times as long in the geometric mean.\n"
                      "- A: results/a, label eth-1g; 3 of 3 cases ok; noise 0.01\n"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("| mlp | 2 | 9.00 ms | 5.00 ms | 0.56 |"), std::string::npos) << page;
  EXPECT_NE(page.find("| mpi/btl | \"tcp\" | \"vader\" |"), std::string::npos) << page;
  EXPECT_NE(page.find("| A absent; B skipped: 2 ranks |"), std::string::npos) << page;
}

TEST(CompareRender, JsonHoldsEverything) {
  const Pair pair;
  const Json document = Json::parse(render_comparisons(CompareFormat::json, pair.compared()));
  EXPECT_EQ(document.at("schema"), "tpbench.comparison/1");
  const Json& comparison = document.at("comparisons").at(0);
  EXPECT_EQ(comparison.at("base").at("label"), "eth-1g");
  ASSERT_EQ(comparison.at("cases").size(), 3U);
  const Json& mlp = comparison.at("cases").at(2);
  EXPECT_EQ(mlp.at("case").at("workload"), "mlp");
  EXPECT_NEAR(mlp.at("communication").at("ratio").get<double>(), 0.2, 1e-9);
  EXPECT_EQ(mlp.at("communication").at("verdict"), "faster");
  EXPECT_EQ(mlp.at("compute").at("verdict"), "within_noise");
  EXPECT_EQ(mlp.at("step").at("basis"), "epochs");
  EXPECT_TRUE(comparison.at("cases").at(0).at("compute").at("ratio").is_null());
  EXPECT_EQ(comparison.at("not_compared").at(0).at("base_status"), "absent");
  EXPECT_EQ(comparison.at("environment").size(), 1U);
  EXPECT_EQ(comparison.at("useful_degree").at(0).at("series"), "mlp h=4096 T=128");
  EXPECT_EQ(comparison.at("useful_degree").at(0).at("base").at("degree"), 1);
  EXPECT_EQ(comparison.at("useful_degree").at(0).at("other").at("degree"), 2);
}

TEST(CompareRender, CsvHasOneRowPerCase) {
  const Pair pair;
  const auto lines = split(render_comparisons(CompareFormat::csv, pair.compared()), '\n');
  ASSERT_EQ(lines.size(), 6U);  // heading, three cases, one that cannot be compared, the last line end
  const auto count = [](const std::string& line) { return std::count(line.begin(), line.end(), ','); };
  for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(count(lines[i]), count(lines[0])) << lines[i];
  EXPECT_EQ(lines[0].substr(0, 31), "base,other,id,base_status,other");
}

TEST(CompareRender, NamesFoldersByLetters) {
  EXPECT_EQ(folder_letter(0), "A");
  EXPECT_EQ(folder_letter(25), "Z");
  EXPECT_EQ(folder_letter(26), "A2");
  const Pair pair;
  const std::vector<Comparison> both = {compare(pair.a, pair.b), compare(pair.a, pair.a)};
  const std::string text = render_comparisons(CompareFormat::table, both);
  EXPECT_NE(text.find("B against A, all cases"), std::string::npos);
  EXPECT_NE(text.find("C against A, all cases"), std::string::npos);
  EXPECT_EQ(render_comparisons(CompareFormat::none, both), "");
}

TEST(Document, EscapesWhatMarkdownWouldRead) {
  Section section;
  section.title = "a_b";
  section.columns = {{"x|y", Align::left}, {"n", Align::right}};
  section.rows = {{{"*one*\nline", 1}}};
  EXPECT_EQ(to_markdown({section}), "## a\\_b\n\n| x\\|y | n |\n|---|---:|\n| \\*one\\* line | 1 |\n");
}

}  // namespace
}  // namespace tpbench
