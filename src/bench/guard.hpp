#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "measure/heartbeat.hpp"

namespace tpbench {

/// What the guard knows of one rank of its host at one moment.
struct RankSign {
  std::int64_t world_rank = 0;
  std::int64_t process_id = 0;
  char state = '?';  ///< letter of /proc/PID/stat: R, S, D, T (stopped), Z; 'X': there is no such process
  Phase phase = Phase::idle;
  Activity activity = Activity::none;
  std::uint64_t step = 0;
  bool leaving = false;  ///< it ends by its own will, so that its death is no news
};

/// State letter of a process, 'X' when there is none.
char process_state(std::int64_t process_id);

/// Whom to blame, in words: the rank that is dead, stopped or still computes, and where the others wait.
std::string describe_stall(std::span<const RankSign> signs, const std::string& host);

/// What the guard looks after and whom it tells.
struct GuardOptions {
  std::span<const Heartbeat* const> heartbeats;  ///< of all ranks of this host
  Heartbeat* own = nullptr;                      ///< this rank's, among them
  std::int64_t world_rank = 0;
  std::string host;
  std::function<std::string()> where_results_stay;  ///< "finished records stay in DIR; continue with ..."
  /// Called on this rank's guard thread when a case is given up, before the job ends: world rank 0 leaves a
  /// record.
  std::function<void(const std::string& reason)> on_give_up;
  /// Called on this rank's guard thread before a signal ends the process: no file is left half-written.
  std::function<void()> before_exit;
};

/// A thread beside each rank that ends the job when nothing moves, when a rank of the host has died, or when
/// a signal asks for it; the main thread may be inside a call of the MPI library that never returns. Wakes
/// four times a second. Restores the old handlers when destroyed.
class Guard {
 public:
  explicit Guard(GuardOptions options);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  /// From now on, until the next call, the ranks of this host must show a sign of life every `limit_s`
  /// seconds. `what` is being done: "case ID", as messages will name it.
  void watch(const std::string& what, double limit_s);

 private:
  void run();
  void check();
  [[noreturn]] void on_signal(int signal);
  [[nodiscard]] std::vector<RankSign> look() const;
  [[nodiscard]] bool speaks(std::span<const RankSign> signs) const;
  [[nodiscard]] bool was_meant_alone() const;
  void give_up(const std::string& why, std::span<const RankSign> signs, double overdue_s);
  [[nodiscard]] std::string where() const;

  GuardOptions options_;
  bool processes_visible_ = true;  // ranks in other process namespaces look dead from here
  std::mutex mutex_;
  std::string what_;
  double limit_s_ = 0;  // 0: nothing is watched
  std::uint64_t last_beats_ = 0;
  double last_change_s_ = 0;
  double last_wake_s_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace tpbench
