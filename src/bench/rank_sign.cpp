#include "bench/rank_sign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/text.hpp"

namespace tpbench {

bool is_gone(const RankSign& sign) { return sign.state == 'X' || sign.state == 'Z'; }
bool is_stopped(const RankSign& sign) { return sign.state == 'T' || sign.state == 't'; }

// Gone, and nobody said that it would go.
bool has_died(const RankSign& sign) { return is_gone(sign) && sign.leaving == 0; }

namespace {

bool waits(Activity activity) { return activity != Activity::compute && activity != Activity::none; }

std::string describe_rank(const RankSign& sign) {
  std::string text(sign.activity == Activity::none ? name_of(sign.phase) : name_of(sign.activity));
  if (sign.activity != Activity::none && sign.phase != Phase::idle)
    text += fmt::format(" of {}", name_of(sign.phase));
  if (sign.step > 0) text += fmt::format(" step {}", sign.step);
  if (sign.stage >= 0) text += fmt::format(" on stage {}", sign.stage);
  return text;
}

}  // namespace

char process_state(std::int64_t process_id) {
  std::ifstream file(fmt::format("/proc/{}/stat", process_id));
  std::stringstream text;
  if (!(text << file.rdbuf())) return 'X';
  const std::string stat = text.str();
  const std::size_t name_end = stat.rfind(')');  // the name may hold anything, brackets too
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? 'X' : stat[name_end + 2];
}

std::string describe_waiting(std::span<const RankSign> signs) {
  std::vector<std::string> waiting;
  for (const RankSign& sign : signs) {
    if (!is_gone(sign) && !is_stopped(sign) && waits(sign.activity))
      waiting.push_back(fmt::format("rank {} in {}", sign.world_rank, describe_rank(sign)));
  }
  if (waiting.empty()) return "";
  constexpr std::size_t kNamed = 4;
  const std::size_t more = waiting.size() > kNamed ? waiting.size() - kNamed : 0;
  waiting.resize(waiting.size() - more);
  return "; waiting: " + join_words(waiting, ", ") + (more > 0 ? fmt::format(" and {} more", more) : "");
}

std::string describe_stall(std::span<const RankSign> signs, const std::string& host) {
  std::vector<std::string> blamed;
  const auto blame = [&](const RankSign& sign, const char* verdict) {
    blamed.push_back(fmt::format("rank {} (process {} on {}) {} {}", sign.world_rank, sign.process_id, host,
                                 verdict, describe_rank(sign)));
  };
  for (const RankSign& sign : signs) {
    if (has_died(sign))
      blame(sign, "has died in");
    else if (is_stopped(sign))
      blame(sign, "is stopped in");
  }
  for (const RankSign& sign : signs) {
    const bool works = !is_gone(sign) && !is_stopped(sign) && !waits(sign.activity);
    if (works && blamed.empty()) blame(sign, "does not leave");
  }
  const auto receives = [](const RankSign& sign) { return sign.activity == Activity::receive; };
  const bool between_stages = std::any_of(signs.begin(), signs.end(), receives);
  if (blamed.empty())
    blamed.push_back(fmt::format("all ranks of {} wait: {}the cause is on another host", host,
                                 between_stages ? "a message between stages has not come, or " : ""));
  return join_words(blamed) + describe_waiting(signs);
}

}  // namespace tpbench
