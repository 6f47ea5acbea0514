#include "environment/host.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/json.hpp"
#include "environment/throttling.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

/// A made-up /proc and /sys in a folder that goes away with the test.
class HostTree : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* const test = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::temp_directory_path() / ("tpbench-host-" + std::to_string(getpid()) + "-" + test->name());
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  fs::path root_;
};

TEST(Host, IsPlausibleHere) {
  const HostFacts host = read_host_facts();
  EXPECT_FALSE(host.name.empty());
  ASSERT_TRUE(host.cores);
  ASSERT_TRUE(host.cpus);
  EXPECT_GE(*host.cores, 1);
  EXPECT_GE(*host.cpus, *host.cores);
  EXPECT_EQ(*host.cores, core_count());
  EXPECT_GT(host.memory_total_bytes.value_or(0), kGiB / 4);
  EXPECT_LE(host.memory_available_bytes.value_or(0), *host.memory_total_bytes);
  EXPECT_TRUE(host.kernel);
  EXPECT_GT(available_memory_bytes(), 0);
}

TEST(AllowedCpus, FollowTheBindingAndTheCoresDoNot) {
  const std::vector<std::int64_t> before = allowed_cpus();
  ASSERT_FALSE(before.empty());
  EXPECT_TRUE(std::is_sorted(before.begin(), before.end()));
  const std::int64_t cores = core_count();

  cpu_set_t saved, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof saved, &saved), 0);
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(before.back()), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(allowed_cpus(), std::vector<std::int64_t>{before.back()});
  EXPECT_EQ(core_count(), cores);
  ASSERT_EQ(sched_setaffinity(0, sizeof saved, &saved), 0);
}

TEST(CountCores, AtMostOnePerCpu) {
  const std::vector<std::int64_t> cpus = allowed_cpus();
  const std::int64_t cores = count_cores(cpus);
  EXPECT_GE(cores, 1);
  EXPECT_LE(cores, static_cast<std::int64_t>(cpus.size()));
  EXPECT_EQ(count_cores(std::vector<std::int64_t>{cpus.front(), cpus.front()}), 1);
  EXPECT_EQ(count_cores({}), 0);
  EXPECT_EQ(count_cores(std::vector<std::int64_t>{1000000, 1000001}), 2)
      << "unknown CPUs are cores of their own";
}

TEST_F(HostTree, NothingToReadIsNullAndNoError) {
  const HostFacts host = read_host_facts(root_);
  EXPECT_FALSE(host.boot_id_hash);
  EXPECT_FALSE(host.governor);
  EXPECT_FALSE(host.transparent_huge_pages);
  EXPECT_FALSE(host.virtualised);
  EXPECT_FALSE(host.os);
  EXPECT_FALSE(host.memory_total_bytes);
  EXPECT_TRUE(host.interfaces.empty());
  EXPECT_GE(available_memory_bytes(root_), 0);
  EXPECT_TRUE(host_to_json(host).at("governor").is_null());
}

TEST_F(HostTree, ReadsTheSmallFiles) {
  write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Fast CPU\nflags\t\t: fpu sse hypervisor avx\n");
  write("proc/sys/kernel/random/boot_id", "abc\n");
  write("etc/os-release", "NAME=x\nPRETTY_NAME=\"Debian 12\"\n");
  write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
  write("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n");
  write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  const HostFacts host = read_host_facts(root_);
  EXPECT_EQ(host.cpu_model, "Fast CPU");
  EXPECT_EQ(host.virtualised, true);
  EXPECT_EQ(host.boot_id_hash.value_or("").size(), 16U);
  EXPECT_EQ(host.os, "Debian 12");
  EXPECT_EQ(host.governor, "performance,powersave");
  EXPECT_EQ(host.transparent_huge_pages, "madvise");
}

TEST_F(HostTree, ReadsInterfaces) {
  write("sys/class/net/eth0/type", "1\n");
  write("sys/class/net/eth0/operstate", "up\n");
  write("sys/class/net/eth0/speed", "25000\n");
  write("sys/class/net/eth0/mtu", "9000\n");
  write("sys/class/net/lo/type", "772\n");
  write("sys/class/net/lo/speed", "-1\n");
  write("sys/class/infiniband/mlx5_0/ports/1/state", "4: ACTIVE\n");
  write("sys/class/infiniband/mlx5_0/ports/1/rate", "100 Gb/sec (4X EDR)\n");
  const std::vector<InterfaceFacts> found = read_host_facts(root_).interfaces;
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].name, "eth0");
  EXPECT_EQ(found[0].speed_mbit_per_s, 25000);
  EXPECT_EQ(found[0].mtu_bytes, 9000);
  EXPECT_EQ(found[0].state, "up");
  EXPECT_FALSE(found[0].loopback);
  EXPECT_TRUE(found[1].loopback);
  EXPECT_FALSE(found[1].speed_mbit_per_s);
  EXPECT_EQ(found[2].name, "mlx5_0:1");
  EXPECT_EQ(found[2].state, "active");
  EXPECT_EQ(found[2].speed_mbit_per_s, 100000);
}

constexpr const char* kMeminfo = "MemTotal:  16777216 kB\nMemAvailable:  8388608 kB\n";  // 16 and 8 GiB

TEST_F(HostTree, AvailableMemoryWithoutALimitIsTheKernels) {
  write("proc/meminfo", kMeminfo);
  EXPECT_EQ(available_memory_bytes(root_), 8 * kGiB);
}

TEST_F(HostTree, AvailableMemoryUnderCgroup2) {
  write("proc/meminfo", kMeminfo);
  write("proc/self/cgroup", "0::/job/step\n");
  write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
  write("sys/fs/cgroup/job/step/memory.max", "max\n");
  write("sys/fs/cgroup/job/step/memory.current", "100\n");
  write("sys/fs/cgroup/job/memory.max", std::to_string(4 * kGiB) + "\n");
  write("sys/fs/cgroup/job/memory.current", std::to_string(3 * kGiB) + "\n");
  write("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file " + std::to_string(kGiB) + "\n");
  EXPECT_EQ(available_memory_bytes(root_), 2 * kGiB)
      << "the limit of the group above binds; cached files are free";
  write("sys/fs/cgroup/job/memory.current", std::to_string(9 * kGiB) + "\n");
  EXPECT_EQ(available_memory_bytes(root_), 0);
}

TEST_F(HostTree, AvailableMemoryUnderCgroup1) {
  write("proc/meminfo", kMeminfo);
  write("proc/self/cgroup", "5:cpuset:/\n4:memory:/docker/abc\n0::/\n");
  write("proc/self/mountinfo",
        "36 30 0:33 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", std::to_string(2 * kGiB) + "\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", std::to_string(kGiB) + "\n");
  EXPECT_EQ(available_memory_bytes(root_), kGiB);
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(available_memory_bytes(root_), 8 * kGiB) << "version 1 writes no limit as a huge number";
}

TEST_F(HostTree, CpuQuota) {
  write("proc/self/cgroup", "0::/\n");
  write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  EXPECT_FALSE(read_host_facts(root_).cpu_quota);
  write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_FALSE(read_host_facts(root_).cpu_quota);
  write("sys/fs/cgroup/cpu.max", "150000 100000\n");
  EXPECT_EQ(read_host_facts(root_).cpu_quota, 1.5);
}

TEST_F(HostTree, ThrottlingOfACgroupAndThoseAboveIt) {
  write("proc/self/cgroup", "0::/job/step\n");
  write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  EXPECT_FALSE(read_throttling(root_));
  write("sys/fs/cgroup/job/cpu.stat",
        "usage_usec 9\nnr_periods 40\nnr_throttled 32\nthrottled_usec 528807\n");
  write("sys/fs/cgroup/job/step/cpu.stat",
        "usage_usec 9\nnr_periods 0\nnr_throttled 3\nthrottled_usec 1000000\n");
  const auto throttling = read_throttling(root_);
  ASSERT_TRUE(throttling);
  EXPECT_EQ(throttling->periods, 35);
  EXPECT_NEAR(throttling->seconds, 1.528807, 1e-9);
}

TEST_F(HostTree, ThrottlingInVersion1) {
  write("proc/self/cgroup", "3:cpu,cpuacct:/job\n0::/\n");
  write("proc/self/mountinfo", "36 30 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
  write("sys/fs/cgroup/cpu/job/cpu.stat", "nr_periods 40\nnr_throttled 32\nthrottled_time 528807639\n");
  const auto throttling = read_throttling(root_);
  ASSERT_TRUE(throttling);
  EXPECT_EQ(throttling->periods, 32);
  EXPECT_NEAR(throttling->seconds, 0.528807639, 1e-12);
}

}  // namespace
}  // namespace tpbench
