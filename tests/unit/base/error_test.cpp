#include "base/error.hpp"

#include <gtest/gtest.h>

namespace tpbench {
namespace {

TEST(Fault, SaysPlacePointerValueAndRule) {
  EXPECT_EQ((Fault{"sweep.json:7", "/tp_degree/1", "-3", "must be positive"}.to_string()),
            "sweep.json:7: /tp_degree/1: -3: must be positive");
  EXPECT_EQ((Fault{"sweep.json", "", "", "is empty"}.to_string()), "sweep.json: is empty");
}

TEST(Fault, ShowsWhatTerminalsDoNot) {
  EXPECT_EQ((Fault{"--filter workload=mlp\r", "", "", "no case has\tthis\x01\x7f \xc3\xa9"}.to_string()),
            "--filter workload=mlp\\r: no case has\\tthis\\x01\\x7f \xc3\xa9");
}

TEST(UsageError, HoldsEveryFaultOnALineOfItsOwn) {
  const UsageError error({{"a", "", "", "x"}, {"b", "", "", "y"}});
  EXPECT_STREQ(error.what(), "a: x\nb: y");
  EXPECT_EQ(error.faults().size(), 2U);
}

}  // namespace
}  // namespace tpbench
