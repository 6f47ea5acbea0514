#include "bench/guard.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
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

// Libraries start threads before main, which would take a signal by its default action: so signals are handled by
// writing to a pipe that the guard reads, instead of being blocked and waited for.
int signal_pipe[2] = {-1, -1};
struct sigaction old_interrupt, old_terminate;

void write_signal(int signal) {
  const int saved = errno;
  const auto byte = static_cast<char>(signal);
  [[maybe_unused]] const auto written = write(signal_pipe[1], &byte, 1);
  errno = saved;
}

bool waits(Activity activity) { return activity != Activity::compute && activity != Activity::none; }

std::string describe_rank(const RankSign& sign) {
  return fmt::format("{} of {} step {}", name_of(sign.activity), name_of(sign.phase), sign.step);
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
  for (const RankSign& sign : signs) {
    const std::string rank = fmt::format("rank {} (process {} on {})", sign.world_rank, sign.process_id, host);
    if (sign.state == 'X' || sign.state == 'Z') blamed.push_back(rank + " has died in " + describe_rank(sign));
    else if (sign.state == 'T' || sign.state == 't') blamed.push_back(rank + " is stopped in " + describe_rank(sign));
  }
  for (const RankSign& sign : signs) {
    if (sign.state == 'X' || sign.state == 'Z' || sign.state == 'T' || sign.state == 't') continue;
    if (waits(sign.activity)) waiting.push_back(fmt::format("rank {} in {}", sign.world_rank, describe_rank(sign)));
    else if (blamed.empty()) blamed.push_back(fmt::format("rank {} does not leave {}", sign.world_rank, describe_rank(sign)));
  }
  if (blamed.empty()) blamed.push_back("all ranks of " + host + " wait, so that the cause is on another host");
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
  if (pipe2(signal_pipe, O_CLOEXEC) != 0) throw EnvironmentError("cannot make a pipe for signals");
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

void Guard::watch(const std::string& case_id, double limit_s) {
  const std::lock_guard lock(mutex_);
  case_id_ = case_id;
  limit_s_ = limit_s;
  last_change_s_ = now_s();
}

void Guard::relax() {
  const std::lock_guard lock(mutex_);
  limit_s_ = 0;
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
    signs.push_back(sign);
  }
  return signs;
}

// One rank a host: the first that can still talk.
bool Guard::speaks(std::span<const RankSign> signs) const {
  for (const RankSign& sign : signs) {
    if (sign.state != 'X' && sign.state != 'Z' && sign.state != 'T') return sign.world_rank == options_.world_rank;
  }
  return true;
}

std::string Guard::where() const { return options_.where_results_stay ? options_.where_results_stay() : ""; }

void Guard::check() {
  std::uint64_t beats = 0;
  for (const Heartbeat* heartbeat : options_.heartbeats) beats += heartbeat->beats.load(std::memory_order_relaxed);
  const double now = now_s();
  if (beats != last_beats_) {
    last_beats_ = beats;
    last_change_s_ = now;
  }
  const double still_s = now - last_change_s_;
  if (still_s < 1) return;  // something moves: no need to look at the processes
  const std::vector<RankSign> signs = look();
  for (const RankSign& sign : signs) {
    if (sign.state == 'X' || sign.state == 'Z') give_up("a rank has died", signs);
  }
  // Hosts other than that of world rank 0 leave it a moment to write the record.
  const double patience_s = options_.heartbeats.front()->world_rank.load() == 0 ? 0 : 3;
  if (still_s < limit_s_ + patience_s) return;
  give_up(fmt::format("nothing has moved for {} (watchdog limit {})", format_duration(still_s), format_duration(limit_s_)),
          signs);
}

void Guard::give_up(const std::string& what, std::span<const RankSign> signs) {
  const std::string reason = fmt::format("{}: {}", what, describe_stall(signs, options_.host));
  if (speaks(signs)) {
    log::error(fmt::format("case {} is given up: {}", case_id_, reason));
    if (options_.on_give_up) options_.on_give_up(reason);
    if (const std::string words = where(); !words.empty()) log::error(words);
    alarm(10);  // should MPI not manage to end the job, this process ends, and its launcher sees that
    abort_job(static_cast<int>(ExitStatus::case_failed));
  }
  // Another rank of this host speaks; it ends this one too.
  sleep(15);
  _exit(static_cast<int>(ExitStatus::case_failed));
}

void Guard::on_signal(int signal) {
  const std::vector<RankSign> signs = look();
  bool died = false;
  for (const RankSign& sign : signs) died = died || sign.state == 'X' || sign.state == 'Z';
  if (speaks(signs)) {
    const std::string at = limit_s_ > 0 ? "case " + case_id_ + " is abandoned" : "between cases";
    // The launcher ends the others with SIGTERM when one rank dies: then that is the news.
    if (died) log::error(fmt::format("{}: {}", at, describe_stall(signs, options_.host)));
    else log::error(fmt::format("interrupted by {}; {}", signal == SIGINT ? "Ctrl-C" : "SIGTERM", at));
    if (const std::string words = where(); !words.empty() && options_.world_rank == 0) log::error(words);
  }
  _exit(static_cast<int>(ExitStatus::interrupted));
}

}  // namespace tpbench
