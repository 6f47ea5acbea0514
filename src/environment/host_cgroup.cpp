// Limits of control groups. A process has one path per hierarchy (/proc/self/cgroup); where that hierarchy is
// mounted and which part of it is visible stands in /proc/self/mountinfo. A limit anywhere above the process
// binds it.
#include <algorithm>
#include <sstream>

#include "base/text.hpp"
#include "environment/host_files.hpp"
#include "environment/throttling.hpp"

namespace tpbench::host_files {
namespace {

namespace fs = std::filesystem;

struct Group {
  fs::path folder;  ///< of the process's own group
  fs::path top;     ///< where the hierarchy is mounted
  bool version2 = false;
};

struct Mount {
  std::string visible_part;  ///< the group that is seen at `point`
  std::string point;
  bool version2 = false;
};

bool has_word(const std::string& list, std::string_view word) {
  const std::vector<std::string> words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "36 25 0:32 /part /mount/point rw,opts tags - cgroup source rw,memory"
std::vector<Mount> mounts_of_controller(const fs::path& root, std::string_view controller) {
  std::vector<Mount> mounts;
  std::istringstream lines(read_text(root / "proc/self/mountinfo").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream front(line.substr(0, dash));
    std::istringstream back(line.substr(dash + 3));
    std::string ignored, part, point, type, source, options;
    front >> ignored >> ignored >> ignored >> part >> point;
    back >> type >> source >> options;
    if (type == "cgroup2") mounts.push_back({part, point, true});
    if (type == "cgroup" && has_word(options, controller)) mounts.push_back({part, point, false});
  }
  return mounts;
}

// "4:memory:/path" in version 1, "0::/path" in version 2
std::optional<std::string> path_in_hierarchy(const fs::path& root, std::string_view controller,
                                             bool version2) {
  std::istringstream lines(read_text(root / "proc/self/cgroup").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (version2 ? controllers.empty() : has_word(controllers, controller)) return line.substr(second + 1);
  }
  return std::nullopt;
}

std::vector<Group> groups_of_process(const fs::path& root, std::string_view controller) {
  std::vector<Group> groups;
  for (const Mount& mount : mounts_of_controller(root, controller)) {
    std::string path = path_in_hierarchy(root, controller, mount.version2).value_or("/");
    if (mount.visible_part != "/" && path.starts_with(mount.visible_part)) {
      path = path.substr(mount.visible_part.size());
    }
    const fs::path top = root / fs::path(mount.point).relative_path();
    const fs::path folder = top / fs::path(path).relative_path();
    std::error_code error;
    // A container may not see its own path: then what it sees as the top is its own group.
    groups.push_back({fs::is_directory(folder, error) ? folder : top, top, mount.version2});
  }
  return groups;
}

// The process's folder and all above it, up to the mount point.
std::vector<fs::path> folders_up(const Group& group) {
  std::vector<fs::path> folders{group.folder.lexically_normal()};
  const fs::path top = group.top.lexically_normal();
  while (folders.back() != top && folders.back().has_relative_path()) {
    folders.push_back(folders.back().parent_path());
  }
  return folders;
}

std::optional<std::int64_t> memory_left_in(const fs::path& folder, bool version2) {
  const auto limit = read_number(folder / (version2 ? "memory.max" : "memory.limit_in_bytes"));
  const auto use = read_number(folder / (version2 ? "memory.current" : "memory.usage_in_bytes"));
  // "max" is no number; version 1 says "no limit" by the largest multiple of a page.
  constexpr std::int64_t kNoLimit = std::int64_t{1} << 60;
  if (!limit || !use || *limit >= kNoLimit) return std::nullopt;
  // Cached files that nobody has used lately are counted as use, yet dropped before anything is refused.
  const std::string statistics = read_text(folder / "memory.stat").value_or("");
  const auto cached = value_of_key(statistics, version2 ? "inactive_file" : "total_inactive_file", ' ');
  std::int64_t droppable = 0;
  if (cached) std::istringstream(*cached) >> droppable;
  return std::max<std::int64_t>(0, *limit - std::max<std::int64_t>(0, *use - droppable));
}

std::optional<double> quota_in(const fs::path& folder, bool version2) {
  double quota = 0, period = 0;
  if (version2) {
    std::istringstream(read_line(folder / "cpu.max").value_or("")) >> quota >> period;
  } else {
    quota = static_cast<double>(read_number(folder / "cpu.cfs_quota_us").value_or(0));
    period = static_cast<double>(read_number(folder / "cpu.cfs_period_us").value_or(0));
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

// Version 1 counts nanoseconds as "throttled_time", version 2 microseconds as "throttled_usec".
std::optional<Throttling> throttling_in(const fs::path& folder, bool version2) {
  const std::string statistics = read_text(folder / "cpu.stat").value_or("");
  const auto periods = value_of_key(statistics, "nr_throttled", ' ');
  const auto time = value_of_key(statistics, version2 ? "throttled_usec" : "throttled_time", ' ');
  if (!periods || !time) return std::nullopt;
  Throttling throttling;
  double ticks = 0;
  std::istringstream(*periods) >> throttling.periods;
  std::istringstream(*time) >> ticks;
  throttling.seconds = ticks * (version2 ? 1e-6 : 1e-9);
  return throttling;
}

template <typename Number>
std::optional<Number> smallest_above(const fs::path& root, std::string_view controller,
                                     std::optional<Number> (*read)(const fs::path&, bool)) {
  std::optional<Number> smallest;
  for (const Group& group : groups_of_process(root, controller)) {
    for (const fs::path& folder : folders_up(group)) {
      const std::optional<Number> here = read(folder, group.version2);
      if (here && (!smallest || *here < *smallest)) smallest = here;
    }
  }
  return smallest;
}

}  // namespace

std::optional<std::int64_t> cgroup_memory_left(const fs::path& root) {
  return smallest_above<std::int64_t>(root, "memory", memory_left_in);
}

std::optional<double> cgroup_cpu_quota(const fs::path& root) {
  return smallest_above<double>(root, "cpu", quota_in);
}

}  // namespace tpbench::host_files

namespace tpbench {

std::optional<Throttling> read_throttling(const std::filesystem::path& root) {
  std::optional<Throttling> sum;
  for (const auto& group : host_files::groups_of_process(root, "cpu")) {
    for (const auto& folder : host_files::folders_up(group)) {
      const auto here = host_files::throttling_in(folder, group.version2);
      if (!here) continue;
      if (!sum) sum.emplace();
      sum->periods += here->periods;
      sum->seconds += here->seconds;
    }
  }
  return sum;
}

}  // namespace tpbench
