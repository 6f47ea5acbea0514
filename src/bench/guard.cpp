#include "bench/guard.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "base/log.hpp"
#include "base/units.hpp"
#include "environment/host.hpp"
#include "environment/launch.hpp"
#include "measure/clock.hpp"

namespace tpbench {
namespace {

// Readable once the process has ended. -1 on kernels that have no such thing.
int open_process(std::int64_t process_id) {
#ifdef SYS_pidfd_open
  return static_cast<int>(syscall(SYS_pidfd_open, process_id, 0));
#else
  return -1;
#endif
}

void add_event(int epoll, int descriptor) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

bool is_leaving(const RankSign& sign) { return sign.leaving != 0; }

// Whether `happens` becomes true within a moment.
template <typename Happens>
bool soon(Happens&& happens) {
  constexpr auto kPatience = std::chrono::milliseconds(400);
  constexpr auto kPause = std::chrono::milliseconds(20);
  for (auto waited = std::chrono::milliseconds(0); waited < kPatience; waited += kPause) {
    if (happens()) return true;
    std::this_thread::sleep_for(kPause);
  }
  return false;
}

}  // namespace

GuardOptions guard_options(Session& session) {
  GuardOptions options;
  options.heartbeats = session.host_heartbeats();
  options.own = &session.heartbeat();
  options.lifeline = &session.lifeline();
  options.host_of = session.host_of();
  options.world_rank = session.world().rank();
  options.host = host_name();
  options.interrupted = interrupted_status();
  return options;
}

Guard::Guard(GuardOptions options) : options_(std::move(options)), events_(epoll_create1(EPOLL_CLOEXEC)) {
  for (const Heartbeat* heartbeat : options_.heartbeats) {
    if (process_state(heartbeat->process_id.load()) == 'X') processes_visible_ = false;
  }
  if (events_ < 0) throw std::runtime_error("cannot wait for signals");
  add_event(events_, signals_.descriptor());
  watch_processes();
  if (options_.lifeline != nullptr && options_.lifeline->descriptor() >= 0)
    add_event(events_, options_.lifeline->descriptor());
  thread_ = std::thread([this] { run(); });
}

Guard::~Guard() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  signals_.wake();
  thread_.join();
  for (const int process : processes_) close(process);
  close(events_);
}

void Guard::watch_processes() {
  if (!processes_visible_) return;
  for (const Heartbeat* heartbeat : options_.heartbeats) {
    if (heartbeat == options_.own) continue;
    const int process = open_process(heartbeat->process_id.load());
    if (process < 0) continue;
    processes_.push_back(process);
    add_event(events_, process);
  }
}

void Guard::watch(const std::string& what, double limit_s) {
  const std::lock_guard lock(mutex_);
  what_ = what;
  limit_s_ = limit_s;
  last_change_s_ = now_s();
}

void Guard::fail(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = reason.empty() ? "no reason is known" : reason;
    failed_since_s_ = now_s();
  }
  for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));  // the guard ends this process
}

void Guard::run() {
  for (;;) {
    wait();
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    // After a pause of the whole process (Ctrl-Z and fg) the others need time to move again.
    const double now = now_s();
    if (now - last_wake_s_ > 2) last_change_s_ = now;
    last_wake_s_ = now;
    if (signal_ != 0) on_signal(signal_);
    if (is_told_to_end()) on_signal(0);
    if (limit_s_ > 0) check();
    if (!failure_.empty()) check_failure();
  }
}

// Returns when something has come, and at the latest after a quarter of a second.
void Guard::wait() {
  constexpr int kPeriodMs = 250;
  epoll_event events[16];
  const int count = epoll_wait(events_, events, std::size(events), kPeriodMs);
  for (int i = 0; i < count; ++i) {
    const int descriptor = events[i].data.fd;
    if (descriptor == signals_.descriptor()) {
      const int signal = signals_.read();
      if (signal_ == 0) signal_ = signal;
    } else if (std::find(processes_.begin(), processes_.end(), descriptor) != processes_.end()) {
      epoll_ctl(events_, EPOLL_CTL_DEL, descriptor, nullptr);  // it stays readable
      peer_ended_ = true;
    } else {
      read_lifeline();
    }
  }
}

void Guard::read_lifeline() {
  for (PeerNews& news : options_.lifeline->read()) {
    if (news.kind == PeerNews::Kind::leaving)
      peer_leaves_ = true;
    else if (!lost_) {
      lost_since_s_ = now_s();
      lost_ = std::move(news);
    }
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
    sign.stage = heartbeat->stage.load(std::memory_order_relaxed);
    sign.leaving = heartbeat->leaving.load();
    signs.push_back(sign);
  }
  return signs;
}

// One rank a host, once: the first that can still talk.
bool Guard::speaks(std::span<const RankSign> signs) const {
  if (std::any_of(signs.begin(), signs.end(), is_leaving)) return false;
  const auto first = std::find_if(signs.begin(), signs.end(),
                                  [](const RankSign& sign) { return !is_gone(sign) && !is_stopped(sign); });
  return first == signs.end() || first->world_rank == options_.world_rank;
}

void Guard::check() {
  std::uint64_t beats = 0;
  for (const Heartbeat* heartbeat : options_.heartbeats)
    beats += heartbeat->beats.load(std::memory_order_relaxed);
  const double now = now_s();
  if (beats != last_beats_) {
    last_beats_ = beats;
    last_change_s_ = now;
  }
  if (lost_) check_lost();
  const double still_s = now - last_change_s_;
  if (still_s < 1 && !peer_ended_) return;  // something moves: no need to look at the processes
  const std::vector<RankSign> signs = look();
  if (std::any_of(signs.begin(), signs.end(), has_died)) {
    give_up(GiveUp::lost, "a rank has died", signs, still_s);
    return;
  }
  peer_ended_ = false;
  // Hosts other than that of world rank 0 leave it a moment to write the record.
  const double patience_s = options_.heartbeats.front()->world_rank.load() == 0 ? 0 : 3;
  const double overdue_s = still_s - limit_s_ - patience_s;
  if (overdue_s < 0) return;
  give_up(GiveUp::stalled,
          fmt::format("nothing has moved for {} (watchdog limit {})", format_duration(still_s),
                      format_duration(limit_s_)),
          signs, overdue_s);
}

// Rank 0 hears of all hosts and speaks at once. When it is rank 0 that is lost, its own host has seen that
// too, if there are others; else the next host speaks, and the others only where nobody else has.
double Guard::patience_about_s(const PeerNews& lost) const {
  if (lost.world_rank != 0) return 0;
  const auto beside = std::count(options_.host_of.begin(), options_.host_of.end(), 0);
  const bool next = options_.host_of[static_cast<std::size_t>(options_.world_rank)] == 1;
  return beside > 1 && lost.kind == PeerNews::Kind::ended ? 2 : next ? 0 : 2;
}

void Guard::check_lost() {
  if (now_s() - lost_since_s_ < patience_about_s(*lost_)) return;
  const std::vector<RankSign> signs = look();
  if (std::any_of(signs.begin(), signs.end(), is_leaving)) return;
  options_.own->leaving.store(static_cast<int>(ExitStatus::case_failed));
  if (lost_->kind == PeerNews::Kind::report) {  // which has been said where it was seen
    const std::size_t blank = lost_->text.find(' ');
    const auto kind = enum_from_name<GiveUp>(lost_->text.substr(0, blank));
    end_job(kind.value_or(GiveUp::lost), lost_->text.substr(blank + 1), "");
  }
  const std::string reason = lost_->kind == PeerNews::Kind::unreachable
                                 ? fmt::format("{} no longer answers: {} is lost{}", lost_->host, lost_->who,
                                               describe_waiting(signs))
                                 : fmt::format("a rank has died: {} has ended without a word{}", lost_->who,
                                               describe_waiting(signs));
  end_job(GiveUp::lost, reason, fmt::format("{} is given up: {}", what_, reason));
}

// A peer that is gone may show in a call that fails before anything else tells of it.
void Guard::check_failure() {
  constexpr double kPatienceS = 1.5;
  if (options_.host_of.size() > 1 && now_s() - failed_since_s_ < kPatienceS) return;
  options_.own->leaving.store(static_cast<int>(ExitStatus::case_failed));
  end_job(GiveUp::error, failure_,
          fmt::format("{} cannot be ended in order on rank {}: {}", what_, options_.world_rank, failure_));
}

void Guard::give_up(GiveUp kind, const std::string& why, std::span<const RankSign> signs, double overdue_s) {
  // The first rank of another host is missed by rank 0, which knows of all.
  const bool first_of_host = has_died(signs.front()) && signs.front().world_rank != 0;
  if (!speaks(signs) || (first_of_host && overdue_s < 3)) {
    // Another rank speaks, and ends this one too.
    constexpr double kPatienceS = 15;
    if (overdue_s > kPatienceS) _exit(static_cast<int>(ExitStatus::case_failed));
    return;
  }
  options_.own->leaving.store(static_cast<int>(ExitStatus::case_failed));
  const std::string reason = fmt::format("{}: {}", why, describe_stall(signs, options_.host));
  end_job(kind, reason, fmt::format("{} is given up: {}", what_, reason));
}

// One message: a launcher that ends the job may drop the second of two.
void Guard::say_last(const std::string& words) const {
  const std::string kept = options_.where_results_stay ? options_.where_results_stay() : "";
  log::error(kept.empty() ? words : fmt::format("{}; {}", words, kept));
}

// Rank 0 leaves the record: on this host by itself, from another host when it is told to. Where it is the one
// that is gone, this rank does what it can. `words` are empty when they have been said elsewhere.
void Guard::end_job(GiveUp kind, const std::string& reason, const std::string& words) {
  alarm(10);  // should anything here not return, this process ends, and its launcher sees that
  if (!words.empty()) say_last(words);
  if (options_.world_rank != 0 && options_.lifeline != nullptr && options_.lifeline->connected() > 0) {
    options_.lifeline->report(fmt::format("{} {}", name_of(kind), reason));
    std::this_thread::sleep_for(std::chrono::seconds(3));  // rank 0 ends this process
  }
  if (options_.on_give_up) options_.on_give_up(kind, reason);
  abort_job(static_cast<int>(ExitStatus::case_failed));
}

// Another rank was, and has said so.
bool Guard::is_told_to_end() const {
  const auto interrupted = static_cast<int>(options_.interrupted);
  return peer_leaves_ ||
         std::any_of(options_.heartbeats.begin(), options_.heartbeats.end(),
                     [&](const Heartbeat* other) { return other->leaving.load() == interrupted; });
}

bool Guard::hears_of_leaving() {
  if (options_.lifeline != nullptr) read_lifeline();
  const std::vector<RankSign> signs = look();
  return peer_leaves_ || std::any_of(signs.begin(), signs.end(), is_leaving);
}

// All others, as far as this rank can see.
bool Guard::others_leave() {
  if (options_.lifeline != nullptr) read_lifeline();
  const std::vector<RankSign> signs = look();
  return (options_.lifeline == nullptr || options_.lifeline->connected() == 0) &&
         std::all_of(signs.begin(), signs.end(),
                     [](const RankSign& sign) { return is_leaving(sign) || is_gone(sign); });
}

// A signal that a launcher passes on reaches every rank. One that was sent to this rank alone reaches nobody
// who would speak: then this one does, and the others leave when they hear of it (`signal` is 0 there).
void Guard::on_signal(int signal) {
  const std::vector<RankSign> signs = look();
  // The launcher ends the others with SIGTERM when one rank dies: then that is the news.
  if (limit_s_ > 0) {
    if (lost_) check_lost();
    if (std::any_of(signs.begin(), signs.end(), has_died) && speaks(signs))
      give_up(GiveUp::lost, "a rank has died", signs, 3);
  }
  const bool is_first = speaks(signs) && signs.front().world_rank == 0;
  const bool speaks_here = signal != 0 && (is_first || !soon([&] { return hears_of_leaving(); }));
  if (speaks_here) {
    say_last(fmt::format("interrupted by {}; {} is abandoned", EndSignals::name_of(signal), what_));
  }
  options_.own->leaving.store(static_cast<int>(options_.interrupted));
  if (options_.lifeline != nullptr) options_.lifeline->say_leaving();
  if (options_.before_exit) options_.before_exit();
  if (speaks_here && !soon([&] { return others_leave(); })) abort_job(static_cast<int>(options_.interrupted));
  _exit(static_cast<int>(options_.interrupted));
}

}  // namespace tpbench
