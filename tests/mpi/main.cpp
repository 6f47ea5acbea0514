// Runs the tests on every rank and makes one verdict of them: a test passes when it passes on all ranks, and
// every rank leaves with the same status. A test that only some ranks leave early is ended by the time limit
// of ctest.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "environment/launch.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

std::unique_ptr<Session> the_session;

// Stands after the printer of rank 0 and in place of it on the others: collects what failed on this rank, and
// after each test has rank 0 say what failed elsewhere.
class RankListener final : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo&) override { words_.clear(); }

  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    words_ += fmt::format("rank {}: {}:{}: {}\n", world().rank(),
                          result.file_name() != nullptr ? result.file_name() : "?", result.line_number(),
                          result.message());
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    const std::vector<std::string> all = world().gather(words_);
    std::vector<std::string> failed;
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      if (all[rank].empty()) continue;
      failed.push_back(std::to_string(rank));
      if (rank > 0) fmt::print("{}", all[rank]);
    }
    if (failed.empty()) return;
    verdicts_.push_back(
        fmt::format("{}.{} failed on rank {}", test.test_suite_name(), test.name(), fmt::join(failed, ", ")));
    fmt::print("[  FAILED  ] {}\n", verdicts_.back());
  }

  [[nodiscard]] const std::vector<std::string>& verdicts() const { return verdicts_; }

 private:
  std::string words_;
  std::vector<std::string> verdicts_;
};

int run_on_all_ranks() {
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (world().rank() != 0) delete listeners.Release(listeners.default_result_printer());
  auto* listener = new RankListener;
  listeners.Append(listener);  // owned by the list from here on
  const std::int64_t mine = RUN_ALL_TESTS();
  const bool failed = world().max(mine) > 0;
  for (const std::string& verdict : listener->verdicts()) fmt::print("{}\n", verdict);
  if (world().rank() == 0) fmt::print("{} on {} rank(s)\n", failed ? "FAILED" : "passed", world().size());
  return failed ? 1 : 0;
}

}  // namespace

Session& session() { return *the_session; }

}  // namespace tpbench::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  tpbench::test::the_session =
      std::make_unique<tpbench::Session>(tpbench::detect_launch().launcher == "none");
  // What tests keep in static objects outlives the session; MPI handles know when MPI is gone.
  const int status = tpbench::test::run_on_all_ranks();
  tpbench::test::the_session.reset();
  return status;
}
