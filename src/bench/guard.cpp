#include "bench/guard.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "comm/session.hpp"
#include "measure/clock.hpp"

namespace tpbench {
namespace {

// Libraries start threads before main, which would take a signal by its default action: so signals are
// handled by writing to a pipe that the guard reads, instead of being blocked and waited for.
int signal_pipe[2] = {-1, -1};
struct sigaction old_interrupt, old_terminate;

void write_signal(int signal) {
  const int saved = errno;
  const auto byte = static_cast<char>(signal);
  [[maybe_unused]] const auto written = write(signal_pipe[1], &byte, 1);
  errno = saved;
}

bool is_gone(const RankSign& sign) { return sign.state == 'X' || sign.state == 'Z'; }
bool is_stopped(const RankSign& sign) { return sign.state == 'T' || sign.state == 't'; }

// Gone, and nobody said that it would go.
bool has_died(const RankSign& sign) { return is_gone(sign) && !sign.leaving; }

bool waits(Activity activity) { return activity != Activity::compute && activity != Activity::none; }

std::string describe_rank(const RankSign& sign) {
  std::string text(sign.activity == Activity::none ? name_of(sign.phase) : name_of(sign.activity));
  if (sign.activity != Activity::none && sign.phase != Phase::idle)
    text += fmt::format(" of {}", name_of(sign.phase));
  if (sign.step > 0) text += fmt::format(" step {}", sign.step);
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

std::string describe_stall(std::span<const RankSign> signs, const std::string& host) {
  std::vector<std::string> blamed, waiting;
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
    if (is_gone(sign) || is_stopped(sign)) continue;
    if (waits(sign.activity))
      waiting.push_back(fmt::format("rank {} in {}", sign.world_rank, describe_rank(sign)));
    else if (blamed.empty())
      blame(sign, "does not leave");
  }
  if (blamed.empty())
    blamed.push_back("all ranks of " + host + " wait, so that the cause is on another host");
  std::string text = join_words(blamed);
  if (!waiting.empty()) {
    constexpr std::size_t kNamed = 4;
    const std::size_t more = waiting.size() > kNamed ? waiting.size() - kNamed : 0;
    waiting.resize(waiting.size() - more);
    text += "; waiting: " + join_words(waiting, ", ") + (more > 0 ? fmt::format(" and {} more", more) : "");
  }
  return text;
}

Guard::Guard(GuardOptions options) : options_(std::move(options)) {
  for (const Heartbeat* heartbeat : options_.heartbeats) {
    if (process_state(heartbeat->process_id.load()) == 'X') processes_visible_ = false;
  }
  if (pipe2(signal_pipe, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe for signals");
  struct sigaction action = {};
  action.sa_handler = write_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &old_interrupt);
  sigaction(SIGTERM, &action, &old_terminate);
  thread_ = std::thread([this] { run(); });
}

Guard::~Guard() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  write_signal(0);
  thread_.join();
  sigaction(SIGINT, &old_interrupt, nullptr);
  sigaction(SIGTERM, &old_terminate, nullptr);
  close(signal_pipe[0]);
  close(signal_pipe[1]);
}

void Guard::watch(const std::string& what, double limit_s) {
  const std::lock_guard lock(mutex_);
  what_ = what;
  limit_s_ = limit_s;
  last_change_s_ = now_s();
}

void Guard::run() {
  constexpr int kPeriodMs = 250;
  for (;;) {
    pollfd descriptor = {signal_pipe[0], POLLIN, 0};
    const bool written = poll(&descriptor, 1, kPeriodMs) > 0;
    char signal = 0;
    if (written && read(signal_pipe[0], &signal, 1) != 1) signal = 0;
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    // After a pause of the whole process (Ctrl-Z and fg) the others need time to move again.
    const double now = now_s();
    if (now - last_wake_s_ > 2) last_change_s_ = now;
    last_wake_s_ = now;
    if (signal != 0) on_signal(signal);
    if (limit_s_ > 0) check();
  }
}

std::vector<RankSign> Guard::look() const {
  std::vector<RankSign> signs;
  for (const Heartbeat* heartbeat : options_.heartbeats) {
    RankSign sign;
    sign.world_rank = heartbeat->world_rank.load(std::memory_order_relaxed);
    sign.process_id = heartbeat->process_id.load(std::memory_order_relaxed);
    sign.state = processes_visible_ ? process_state(sign.process_id) : '?';
    sign.phase = heartbeat->phase.load(std::memory_order_relaxed);
    sign.activity = heartbeat->activity.load(std::memory_order_relaxed);
    sign.step = heartbeat->step.load(std::memory_order_relaxed);
    sign.leaving = heartbeat->leaving.load();
    signs.push_back(sign);
  }
  return signs;
}

// One rank a host, once: the first that can still talk.
bool Guard::speaks(std::span<const RankSign> signs) const {
  if (std::any_of(signs.begin(), signs.end(), [](const RankSign& sign) { return sign.leaving; }))
    return false;
  const auto first = std::find_if(signs.begin(), signs.end(),
                                  [](const RankSign& sign) { return !is_gone(sign) && !is_stopped(sign); });
  return first == signs.end() || first->world_rank == options_.world_rank;
}

std::string Guard::where() const { return options_.where_results_stay ? options_.where_results_stay() : ""; }

void Guard::check() {
  std::uint64_t beats = 0;
  for (const Heartbeat* heartbeat : options_.heartbeats)
    beats += heartbeat->beats.load(std::memory_order_relaxed);
  const double now = now_s();
  if (beats != last_beats_) {
    last_beats_ = beats;
    last_change_s_ = now;
  }
  const double still_s = now - last_change_s_;
  if (still_s < 1) return;  // something moves: no need to look at the processes
  const std::vector<RankSign> signs = look();
  if (std::any_of(signs.begin(), signs.end(), has_died)) give_up("a rank has died", signs, still_s);
  // Hosts other than that of world rank 0 leave it a moment to write the record.
  const double patience_s = options_.heartbeats.front()->world_rank.load() == 0 ? 0 : 3;
  const double overdue_s = still_s - limit_s_ - patience_s;
  if (overdue_s < 0) return;
  give_up(fmt::format("nothing has moved for {} (watchdog limit {})", format_duration(still_s),
                      format_duration(limit_s_)),
          signs, overdue_s);
}

void Guard::give_up(const std::string& why, std::span<const RankSign> signs, double overdue_s) {
  if (!speaks(signs)) {
    // Another rank of this host speaks, and ends this one too.
    constexpr double kPatienceS = 15;
    if (overdue_s > kPatienceS) _exit(static_cast<int>(ExitStatus::case_failed));
    return;
  }
  options_.own->leaving.store(true);
  const std::string reason = fmt::format("{}: {}", why, describe_stall(signs, options_.host));
  log::error(fmt::format("{} is given up: {}", what_, reason));
  if (options_.on_give_up) options_.on_give_up(reason);
  if (const std::string words = where(); !words.empty()) log::error(words);
  alarm(10);  // should MPI not manage to end the job, this process ends, and its launcher sees that
  abort_job(static_cast<int>(ExitStatus::case_failed));
}

// A signal that a launcher passes on reaches every rank; one that was sent to this rank alone reaches nobody
// who would speak for the host.
bool Guard::was_meant_alone() const {
  constexpr auto kPatience = std::chrono::milliseconds(400);
  constexpr auto kPause = std::chrono::milliseconds(20);
  for (auto waited = std::chrono::milliseconds(0); waited < kPatience; waited += kPause) {
    const std::vector<RankSign> signs = look();
    if (std::any_of(signs.begin(), signs.end(), [](const RankSign& sign) { return sign.leaving; }))
      return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

void Guard::on_signal(int signal) {
  const std::vector<RankSign> signs = look();
  if (speaks(signs) || was_meant_alone()) {
    // The launcher ends the others with SIGTERM when one rank dies: then that is the news.
    const bool died = std::any_of(signs.begin(), signs.end(), has_died);
    options_.own->leaving.store(true);
    if (died)
      log::error(fmt::format("{} is abandoned: {}", what_, describe_stall(signs, options_.host)));
    else
      log::error(
          fmt::format("interrupted by {}; {} is abandoned", signal == SIGINT ? "Ctrl-C" : "SIGTERM", what_));
    if (const std::string words = where(); !words.empty()) log::error(words);
  }
  options_.own->leaving.store(true);
  if (options_.before_exit) options_.before_exit();
  _exit(static_cast<int>(ExitStatus::interrupted));
}

}  // namespace tpbench
