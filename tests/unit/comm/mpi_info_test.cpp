#include "comm/mpi_info.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"

namespace tpbench {
namespace {

// `tpbench info` runs without MPI having been started.
TEST(MpiInfo, CanBeAskedBeforeMpiStarts) {
  const Json info = describe_mpi();
  EXPECT_FALSE(info.at("library").is_null());
  EXPECT_FALSE(info.at("standard").is_null());
  EXPECT_TRUE(info.at("thread_level").is_null());
  EXPECT_TRUE(info.at("components").is_null());
}

}  // namespace
}  // namespace tpbench
