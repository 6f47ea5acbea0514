#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/enum_names.hpp"
#include "base/error.hpp"
#include "bench/end_signals.hpp"
#include "bench/rank_sign.hpp"
#include "comm/lifeline.hpp"
#include "comm/session.hpp"
#include "measure/heartbeat.hpp"

namespace tpbench {

/// Why a case is given up: a rank is gone, nothing has moved for too long, or a rank cannot go on in order.
enum class GiveUp { lost, stalled, error };

/// What the guard looks after and whom it tells.
struct GuardOptions {
  std::span<const Heartbeat* const> heartbeats;  ///< of all ranks of this host
  Heartbeat* own = nullptr;                      ///< this rank's, among them
  Lifeline* lifeline = nullptr;                  ///< to other hosts
  std::span<const int> host_of;                  ///< Session::host_of()
  std::int64_t world_rank = 0;
  std::string host;
  ExitStatus interrupted = ExitStatus::interrupted;  ///< what a signal ends with
  std::function<std::string()> where_results_stay;  ///< "finished records are kept in DIR; continue with ..."
  /// Called on this rank's guard thread when a case is given up, before the job ends: world rank 0 leaves a
  /// record, and another rank where that is the one that is gone.
  std::function<void(GiveUp why, const std::string& reason)> on_give_up;
  /// Called on this rank's guard thread before a signal ends the process: no file is left half-written.
  std::function<void()> before_exit;
};

/// What this launch has; where results stay and what is done about them is the caller's.
GuardOptions guard_options(Session& session);

/// A thread beside each rank that ends the job when nothing moves, when a rank is gone, or when a signal asks
/// for it (SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2); the main thread may be inside a call of the MPI
/// library that never returns. Wakes four times a second, and at once when a rank of the host dies or a
/// lifeline ends. Restores the old handlers when destroyed.
class Guard {
 public:
  explicit Guard(GuardOptions options);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  /// From now on, until the next call, the ranks of this host must show a sign of life every `limit_s`
  /// seconds. `what` is being done: "case ID", as messages will name it.
  void watch(const std::string& what, double limit_s);

  /// Ends the job from the rank's main thread, which cannot go on where the others wait for it: as for a rank
  /// that is lost, and in its words when that is why. Does not return.
  [[noreturn]] void fail(const std::string& reason);

 private:
  void run();
  void wait();
  void watch_processes();
  void read_lifeline();
  void check();
  void check_lost();
  void check_failure();
  [[noreturn]] void on_signal(int signal);
  [[nodiscard]] std::vector<RankSign> look() const;
  [[nodiscard]] bool speaks(std::span<const RankSign> signs) const;
  [[nodiscard]] bool is_told_to_end() const;
  [[nodiscard]] bool others_leave();
  [[nodiscard]] bool hears_of_leaving();
  void give_up(GiveUp kind, const std::string& why, std::span<const RankSign> signs, double overdue_s);
  [[noreturn]] void end_job(GiveUp kind, const std::string& reason, const std::string& words);
  void say_last(const std::string& words) const;
  [[nodiscard]] double patience_about_s(const PeerNews& lost) const;

  GuardOptions options_;
  bool processes_visible_ = true;  // ranks in other process namespaces look dead from here
  std::mutex mutex_;
  std::string what_;
  double limit_s_ = 0;  // 0: nothing is watched
  std::uint64_t last_beats_ = 0;
  double last_change_s_ = 0;
  double last_wake_s_ = 0;
  bool stop_ = false;
  EndSignals signals_;
  int events_ = -1;             // epoll: signals, the processes of the host, the lifeline
  std::vector<int> processes_;  // pidfds of the other ranks of the host
  int signal_ = 0;              // that has come
  bool peer_ended_ = false;     // a process of the host is gone
  bool peer_leaves_ = false;    // a rank of another host has said so
  std::optional<PeerNews> lost_;
  double lost_since_s_ = 0;
  std::string failure_;  // of this rank's main thread
  double failed_since_s_ = 0;
  std::thread thread_;
};

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::GiveUp, {tpbench::GiveUp::lost, "lost"}, {tpbench::GiveUp::stalled, "stalled"},
                   {tpbench::GiveUp::error, "error"});
