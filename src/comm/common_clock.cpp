#include "comm/common_clock.hpp"

#include <mpi.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "base/host_identity.hpp"
#include "comm/check_mpi.hpp"
#include "comm/mpi_handle.hpp"
#include "measure/clock.hpp"

namespace tpbench {
namespace {

constexpr int kClockTag = 3;
constexpr int kFirstTrips = 5;
constexpr std::size_t kTrips = 400, kFewestTrips = 100;
constexpr std::int64_t kLongest_ns = 200'000'000;  // of a measurement, once it has the fewest trips
constexpr std::size_t kLargestExtent = 4;          // twice as much of all these, and twice again
constexpr double kGood = 0.25;  // error by half of the fastest trip, with which no more are made

// A leader asks the one whose number is its own without the highest bit, in the round of that bit.
int round_of(int leader) {
  int round = -1;
  for (; leader > 0; leader >>= 1) ++round;
  return round;
}
int parent_of(int leader) { return leader - (1 << round_of(leader)); }
int rounds_of(int leaders) { return leaders < 2 ? 0 : round_of(leaders - 1) + 1; }

// Calls answer(child) for those that ask this leader, round by round, and ask(parent) in its own round.
template <typename Ask, typename Answer>
void go_down(const Control& leaders, Ask&& ask, Answer&& answer) {
  for (int round = 0; round < rounds_of(leaders.size()); ++round) {
    if (leaders.rank() >= 2 << round) continue;
    if (leaders.rank() >= 1 << round)
      ask(parent_of(leaders.rank()));
    else if (leaders.rank() + (1 << round) < leaders.size())
      answer(leaders.rank() + (1 << round));
  }
}

void answer_trips(int child, MPI_Comm comm) {
  for (;;) {
    std::int64_t word = 0;
    TPBENCH_MPI(MPI_Recv(&word, 1, MPI_INT64_T, child, kClockTag, comm, MPI_STATUS_IGNORE));
    if (word == 0) return;
    word = now_ns();
    TPBENCH_MPI(MPI_Send(&word, 1, MPI_INT64_T, child, kClockTag, comm));
  }
}

RoundTrip make_trip(int parent, MPI_Comm comm) {
  const std::int64_t more = 1;
  RoundTrip trip;
  trip.sent_ns = now_ns();
  TPBENCH_MPI(MPI_Send(&more, 1, MPI_INT64_T, parent, kClockTag, comm));
  TPBENCH_MPI(MPI_Recv(&trip.answered_ns, 1, MPI_INT64_T, parent, kClockTag, comm, MPI_STATUS_IGNORE));
  trip.received_ns = now_ns();
  return trip;
}

// Where the fastest do not agree, because other programs take the cores away, more are made.
ClockAnchor measure_offset(int parent, MPI_Comm comm) {
  for (int i = 0; i < kFirstTrips; ++i) make_trip(parent, comm);  // the first may open a connection
  std::vector<RoundTrip> trips;
  ClockAnchor anchor;
  for (std::size_t extent = 1; extent <= kLargestExtent; extent *= 2) {
    const std::int64_t began_ns = now_ns();
    for (std::size_t made = 0; made < kTrips * extent; ++made) {
      if (made >= kFewestTrips * extent &&
          trips.back().received_ns - began_ns > static_cast<std::int64_t>(extent) * kLongest_ns)
        break;
      trips.push_back(make_trip(parent, comm));
    }
    anchor = estimate_offset(trips);
    if (anchor.error_ns <= kGood * anchor.worst_case_ns) break;
  }
  const std::int64_t enough = 0;
  TPBENCH_MPI(MPI_Send(&enough, 1, MPI_INT64_T, parent, kClockTag, comm));
  return anchor;
}

void send_map(const ClockMap& map, int to, MPI_Comm comm) {
  const auto bytes = static_cast<int>(map.anchors().size_bytes());
  TPBENCH_MPI(MPI_Send(map.anchors().data(), bytes, MPI_BYTE, to, kClockTag, comm));
}

ClockMap receive_map(int from, MPI_Comm comm) {
  MPI_Status status;
  int bytes = 0;
  TPBENCH_MPI(MPI_Probe(from, kClockTag, comm, &status));
  TPBENCH_MPI(MPI_Get_count(&status, MPI_BYTE, &bytes));
  std::vector<ClockAnchor> anchors(static_cast<std::size_t>(bytes) / sizeof(ClockAnchor));
  TPBENCH_MPI(MPI_Recv(anchors.data(), bytes, MPI_BYTE, from, kClockTag, comm, MPI_STATUS_IGNORE));
  ClockMap map;
  for (const ClockAnchor& anchor : anchors) map.add(anchor);
  return map;
}

}  // namespace

std::string clock_domain() {
  std::ifstream file("/proc/self/timens_offsets");
  const std::string offsets(std::istreambuf_iterator<char>(file), {});
  const auto kernel = boot_id_hash();
  return (kernel ? *kernel : host_identity()) + '\n' + offsets;
}

CommonClock::CommonClock(const Control& ranks, const std::string& domain) : ranks_(ranks) {
  std::string name = domain;
  for (const std::string& further : {std::string(), host_name(), std::to_string(ranks.rank())}) {
    name += '\n' + further;
    find_domains(name);
    if (ranks_.max(std::int64_t{runs_apart() ? 1 : 0}) == 0) break;
  }
  if (is_one_clock()) return;
  const bool leads = here_->rank() == 0;
  const Control part = ranks_.split(leads ? 0 : 1);
  if (leads) leaders_ = part;
  is_aligned_ = false;
}

void CommonClock::find_domains(const std::string& domain) {
  std::map<std::string, int> number;
  for (const std::string& name : ranks_.all_gather(domain))
    number.try_emplace(name, static_cast<int>(number.size()));
  domains_ = static_cast<int>(number.size());
  domain_ = number.at(domain);
  here_ = ranks_.split(domain_);
}

// Whatever a clock shows when all have come is later than what any showed before it came.
bool CommonClock::runs_apart() const {
  here_->barrier();  // connections are open, and ranks have come
  std::int64_t latest_ns = now_ns();
  here_->reduce_max({&latest_ns, 1});
  return now_ns() < latest_ns;
}

void CommonClock::restart() {
  to_parent_.clear();
  map_.clear();
  measure();
}

void CommonClock::measure() {
  if (is_one_clock()) return;
  if (leaders_) {
    measure_to_parent();
    follow_parent();
  }
  ranks_.sleeping_barrier({});  // the others take no cycle from those that measure
  tell_domain();
  const bool poor = map_.error_ns() > map_.worst_case_ns();
  is_aligned_ = ranks_.max(std::int64_t{poor ? 1 : 0}) == 0;
}

void CommonClock::measure_to_parent() {
  MPI_Comm comm = leaders_->handle()->comm;
  go_down(
      *leaders_, [&](int parent) { to_parent_.add(measure_offset(parent, comm)); },
      [&](int child) { answer_trips(child, comm); });
}

// Every anchor anew: a parent's offset at that moment is known better now that a later one has been measured.
void CommonClock::follow_parent() {
  MPI_Comm comm = leaders_->handle()->comm;
  go_down(
      *leaders_, [&](int parent) { map_ = to_parent_.then(receive_map(parent, comm)); },
      [&](int child) { send_map(map_, child, comm); });
}

void CommonClock::tell_domain() {
  const std::span<const ClockAnchor> own = map_.anchors();
  std::vector<ClockAnchor> anchors(own.begin(), own.end());
  anchors.resize(static_cast<std::size_t>(here_->broadcast(static_cast<std::int64_t>(anchors.size()))));
  TPBENCH_MPI(MPI_Bcast(anchors.data(), static_cast<int>(std::span(anchors).size_bytes()), MPI_BYTE, 0,
                        here_->handle()->comm));
  map_.clear();
  for (const ClockAnchor& anchor : anchors) map_.add(anchor);
}

ClockQuality CommonClock::quality() const {
  ClockQuality quality;
  quality.domains = domains_;
  quality.aligned = is_aligned_;
  if (is_one_clock()) return quality;
  // Between two clocks of which one is rank 0's stands one offset, between any two others there are two.
  const double offsets = domains_ > 2 ? 2 : 1;
  const double drift_ppm = map_.drift_ppm();
  double of_all[] = {map_.error_ns(), map_.worst_case_ns(), drift_ppm, -drift_ppm};
  ranks_.reduce_max(of_all);
  quality.error_s = offsets * of_all[0] * 1e-9;
  quality.worst_case_s = offsets * of_all[1] * 1e-9;
  quality.drift_ppm = of_all[2] >= of_all[3] ? of_all[2] : -of_all[3];
  if (leaders_) {
    const double offset_s =
        map_.anchors().empty() ? 0 : static_cast<double>(map_.anchors().front().offset_ns) * 1e-9;
    quality.offset_s.resize(leaders_->rank() == 0 ? static_cast<std::size_t>(domains_) : 0);
    TPBENCH_MPI(MPI_Gather(&offset_s, 1, MPI_DOUBLE, quality.offset_s.data(), 1, MPI_DOUBLE, 0,
                           leaders_->handle()->comm));
  }
  return quality;
}

}  // namespace tpbench
