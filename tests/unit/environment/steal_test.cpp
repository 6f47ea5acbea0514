#include "environment/steal.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace tpbench {
namespace {

namespace fs = std::filesystem;

TEST(Steal, IsSummedOverTheGivenCpus) {
  const fs::path root = fs::temp_directory_path() / ("tpbench-steal-" + std::to_string(getpid()));
  fs::create_directories(root / "proc");
  std::ofstream(root / "proc" / "stat")
      << "cpu  9 9 9 9 9 9 9 900 0 0\ncpu0 1 2 3 4 5 6 7 100 0 0\n"
         "cpu1 1 2 3 4 5 6 7 250 0 0\ncpu10 1 2 3 4 5 6 7 5000 0 0\nintr 1 2 3\n";
  const double tick_s = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  const std::array<std::int64_t, 2> two = {0, 1};
  EXPECT_NEAR(stolen_s(two, root).value(), 350 * tick_s, 1e-9);
  const std::array<std::int64_t, 1> absent = {7};
  EXPECT_FALSE(stolen_s(absent, root));
  EXPECT_FALSE(stolen_s(two, root / "nowhere"));
  fs::remove_all(root);
}

}  // namespace
}  // namespace tpbench
