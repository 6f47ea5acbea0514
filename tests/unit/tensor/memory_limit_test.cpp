#include "tensor/memory_limit.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace tpbench {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// Sets soft limits for as long as it lives.
class Limit {
 public:
  Limit(decltype(RLIMIT_AS) resource, std::int64_t bytes) : resource_(resource) {
    getrlimit(resource, &before_);
    const struct rlimit lowered = {static_cast<rlim_t>(bytes), before_.rlim_max};
    EXPECT_EQ(setrlimit(resource, &lowered), 0);
  }
  ~Limit() { setrlimit(resource_, &before_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  decltype(RLIMIT_AS) resource_;
  struct rlimit before_ {};
};

TEST(MemoryLimit, IsTheTightest) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers address terabytes";
#endif
  const Limit address(RLIMIT_AS, 4096 * kMiB);
  const auto loose = tightest_memory_limit();
  ASSERT_TRUE(loose);
  EXPECT_EQ(loose->name, "ulimit -v 4194304");
  EXPECT_GT(loose->left_bytes, 3000 * kMiB);
  EXPECT_LT(loose->left_bytes, 4096 * kMiB) << "what the process uses is not left";
  const Limit data(RLIMIT_DATA, 500 * kMiB);
  const auto tight = tightest_memory_limit();
  ASSERT_TRUE(tight);
  EXPECT_EQ(tight->name, "ulimit -d 512000");
  EXPECT_LT(tight->left_bytes, 500 * kMiB);
}

}  // namespace
}  // namespace tpbench
