#include "bench/samples.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/event_table.hpp"
#include "bench/pipeline_samples.hpp"
#include "bench/waiting.hpp"
#include "measure/statistics.hpp"

namespace tpbench {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
// Shorter than so many times its error a difference of two clocks is no number.
constexpr double kErrorsOfANumber = 3;

// The parts of steps in one group, sample after sample: [samples, width], with a column for each part and
// behind them one for each kind of collective.
struct GroupBatch {
  enum Part {
    wait,
    wait_mean,
    imbalance,
    forward_compute,
    backward_compute,
    forward_communication,
    backward_communication,
    device_error,
    parts
  };
  std::vector<EventKey> kinds;
  std::vector<double> step_s, measured_step_s;
  std::vector<double> part_s;
  std::int64_t own_durations = 0;
  double own_wait_s = 0;               // of this rank
  std::vector<std::int64_t> own_last;  // likewise: by kind, how often it came last

  [[nodiscard]] std::size_t width() const { return parts + kinds.size(); }
  double* parts_of(std::size_t k) { return part_s.data() + k * width(); }
};

// What collectives are told apart by: not by whose they are.
EventKey kind_of(EventKey key) {
  key.in_layers = false;
  return key;
}

std::vector<EventKey> kinds_of(std::span<const EventKey> events) {
  std::vector<EventKey> kinds;
  for (const EventKey& key : events) {
    if (!key.is_compute() && std::find(kinds.begin(), kinds.end(), kind_of(key)) == kinds.end())
      kinds.push_back(kind_of(key));
  }
  return kinds;
}

std::size_t index_of(const std::vector<EventKey>& kinds, const EventKey& key) {
  return static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), key) - kinds.begin());
}

// Some steps of one group. Arrays are [steps, columns] and reduced as a whole.
class GroupReduction {
 public:
  GroupReduction(const TracedSteps& traced, const Control& group, const CommonClock& clock,
                 const EventTable& table, std::size_t first, std::size_t count, bool common_time,
                 double layers_scale)
      : traced_(traced),
        group_(group),
        clock_(clock),
        table_(table),
        first_(first),
        count_(count),
        common_time_(common_time),
        layers_scale_(layers_scale),
        columns_(table.keys().size()) {}

  GroupBatch run() {
    batch_.kinds = kinds_of(table_.keys());
    batch_.own_last.assign(batch_.kinds.size(), 0);
    batch_.step_s.resize(count_);
    batch_.part_s.assign(count_ * batch_.width(), 0.0);
    begin_at_the_first_start();
    find_steps();
    if (layers_scale_ != 1) compose_steps();
    add_compute();
    if (common_time_) add_communication();
    return std::move(batch_);
  }

 private:
  [[nodiscard]] const StepSpan& step(std::size_t k) const { return traced_.steps[first_ + k]; }
  [[nodiscard]] std::span<const EventSpan> spans(std::size_t k) const { return traced_.spans_of(first_ + k); }
  [[nodiscard]] std::size_t at(std::size_t k, std::size_t column) const { return k * columns_ + column; }

  // Seconds since the step began. Clocks that are not aligned each have a beginning of their own.
  [[nodiscard]] double since_begin_s(std::size_t k, std::int64_t own_ns) const {
    const std::int64_t ns =
        common_time_ ? clock_.common_ns(own_ns) - begin_ns_[k] : own_ns - step(k).start_ns;
    return static_cast<double>(ns) * 1e-9;
  }

  // One moment is agreed on; where there is none (a barrier, or devices, which begin when they come to it),
  // and where the offsets have turned out a little different since, a step begins with the first rank.
  void begin_at_the_first_start() {
    if (!common_time_) return;
    for (std::size_t k = 0; k < count_; ++k) begin_ns_.push_back(clock_.common_ns(step(k).start_ns));
    group_.reduce_min(begin_ns_);
  }

  void find_steps() {
    for (std::size_t k = 0; k < count_; ++k) {
      const auto own_s = static_cast<double>(step(k).end_ns - step(k).start_ns) * 1e-9;
      batch_.step_s[k] = std::max(own_s, since_begin_s(k, step(k).end_ns));
    }
    group_.reduce_max(batch_.step_s);
  }

  // How often a step of the whole has what happens once here.
  [[nodiscard]] double times(const EventKey& key) const { return key.in_layers ? layers_scale_ : 1; }

  // The layers of each half take from the end of what comes before them, on the last rank, to the end of the
  // last layer; a step of the whole takes that as often as it has more layers.
  void compose_steps() {
    batch_.measured_step_s = batch_.step_s;
    std::vector<double> ends_s(count_ * 2 * kDirections, 0.0);  // before the layers, and of the last one
    for (std::size_t k = 0; k < count_; ++k) {
      std::array<bool, kDirections> seen = {};
      double end_s = 0;
      for (std::size_t i = 0; i < spans(k).size(); ++i) {
        const EventKey& key = traced_.events[i];
        const auto half = static_cast<std::size_t>(key.direction);
        double* ends = &ends_s[2 * (k * kDirections + half)];
        if (key.in_layers && !seen[half]) ends[0] = end_s;
        seen[half] = seen[half] || key.in_layers;
        end_s = since_begin_s(k, spans(k)[i].end_ns);
        if (key.in_layers) ends[1] = end_s;
      }
    }
    group_.reduce_max(ends_s);
    for (std::size_t i = 0; i < ends_s.size(); i += 2)
      batch_.step_s[i / (2 * kDirections)] += (layers_scale_ - 1) * (ends_s[i + 1] - ends_s[i]);
  }

  void add_compute() {
    const auto computes = table_.compute_columns();
    std::vector<double> longest(count_ * columns_, 0.0);
    for (std::size_t k = 0; k < count_; ++k) {
      for (std::size_t i = 0; i < spans(k).size(); ++i) {
        const EventSpan& span = spans(k)[i];
        longest[at(k, table_.column_of(i))] = static_cast<double>(span.end_ns - span.start_ns) * 1e-9;
      }
    }
    std::vector<double> packed = pack(longest, computes);
    group_.reduce_max(packed);
    for (std::size_t k = 0; k < count_; ++k) {
      for (std::size_t c = 0; c < computes.size(); ++c) {
        const EventKey& key = table_.keys()[computes[c]];
        const auto half = static_cast<std::size_t>(key.direction);
        batch_.parts_of(k)[GroupBatch::forward_compute + half] +=
            times(key) * packed[k * computes.size() + c];
      }
    }
  }

  void add_communication() {
    last_start_s_.assign(count_ * columns_, kNever);
    last_end_s_ = last_start_s_;
    for (std::size_t k = 0; k < count_; ++k) {
      for (std::size_t i = 0; i < spans(k).size(); ++i) {
        last_start_s_[at(k, table_.column_of(i))] = since_begin_s(k, spans(k)[i].start_ns);
        last_end_s_[at(k, table_.column_of(i))] = since_begin_s(k, spans(k)[i].end_ns);
      }
    }
    if (traced_.of_device) find_device_errors();
    for (const EventTable::Scope& scope : table_.scopes()) add_scope(scope);
    add_waits();
  }

  // Times of two devices are placed on the host's clock, each with its error.
  void find_device_errors() {
    std::vector<double> error_s(count_);
    for (std::size_t k = 0; k < count_; ++k)
      error_s[k] = group_.size() < 2 ? 0 : 2e-9 * static_cast<double>(step(k).place_error_ns);
    group_.reduce_max(error_s);
    for (std::size_t k = 0; k < count_; ++k) batch_.parts_of(k)[GroupBatch::device_error] = error_s[k];
  }

  // From the moment at which the last rank has come to that at which the last one has what it needs. Of
  // several parts of the group that do the same side by side, the longest.
  void add_scope(const EventTable::Scope& scope) {
    std::vector<double> own_start_s = pack(last_start_s_, scope.columns), start_s = own_start_s;
    std::vector<double> own_end_s = pack(last_end_s_, scope.columns), end_s = own_end_s;
    scope.ranks.reduce_max(start_s);
    scope.ranks.reduce_max(end_s);
    std::vector<double> transfer_s(start_s.size());
    for (std::size_t i = 0; i < transfer_s.size(); ++i)
      transfer_s[i] = start_s[i] == kNever ? 0 : end_s[i] - start_s[i];
    if (traced_.of_device) take_own_durations(scope, own_start_s, own_end_s, start_s, transfer_s);
    if (!scope.is_whole) group_.reduce_max(transfer_s);
    for (std::size_t k = 0; k < count_; ++k) {
      double* parts = batch_.parts_of(k);
      for (std::size_t c = 0; c < scope.columns.size(); ++c) {
        const std::size_t i = k * scope.columns.size() + c;
        const EventKey& key = table_.keys()[scope.columns[c]];
        const double all_s = times(key) * transfer_s[i];
        const std::size_t kind = index_of(batch_.kinds, kind_of(key));
        const bool is_last =
            own_start_s[i] != kNever && own_start_s[i] == start_s[i] && scope.ranks.size() > 1;
        batch_.own_last[kind] += is_last ? 1 : 0;
        parts[GroupBatch::forward_communication + static_cast<std::size_t>(key.direction)] += all_s;
        parts[GroupBatch::parts + kind] += all_s;
        last_start_s_[at(k, scope.columns[c])] = start_s[i];
        last_end_s_[at(k, scope.columns[c])] = end_s[i];
      }
    }
  }

  void take_own_durations(const EventTable::Scope& scope, const std::vector<double>& own_start_s,
                          const std::vector<double>& own_end_s, const std::vector<double>& start_s,
                          std::vector<double>& transfer_s) {
    std::vector<double> own_s(transfer_s.size(), kNever);
    for (std::size_t i = 0; i < own_s.size(); ++i) {
      if (own_start_s[i] != kNever && own_start_s[i] == start_s[i]) own_s[i] = own_end_s[i] - own_start_s[i];
    }
    scope.ranks.reduce_max(own_s);
    for (std::size_t i = 0; i < own_s.size(); ++i) {
      const double error_s = batch_.parts_of(i / scope.columns.size())[GroupBatch::device_error];
      if (own_s[i] == kNever || transfer_s[i] >= kErrorsOfANumber * error_s) continue;
      transfer_s[i] = own_s[i];
      ++batch_.own_durations;
    }
  }

  void add_waits() {
    std::vector<double> largest(count_ * 2, 0.0), sum(count_, 0.0);
    for (std::size_t k = 0; k < count_; ++k) {
      Waiting waiting;
      for (std::size_t i = 0; i < spans(k).size(); ++i) {
        const std::size_t place = at(k, table_.column_of(i));
        const EventKey& key = table_.keys()[table_.column_of(i)];
        if (key.is_compute()) continue;
        waiting.add(since_begin_s(k, spans(k)[i].start_ns), last_start_s_[place],
                    since_begin_s(k, spans(k)[i].end_ns), last_end_s_[place], times(key));
      }
      sum[k] = largest[2 * k] = waiting.all_s();
      largest[2 * k + 1] = waiting.imbalance_s();
      batch_.own_wait_s += sum[k];
    }
    group_.reduce_max(largest);
    group_.reduce_sum(sum);
    for (std::size_t k = 0; k < count_; ++k) {
      double* parts = batch_.parts_of(k);
      parts[GroupBatch::wait] = largest[2 * k];
      parts[GroupBatch::imbalance] = largest[2 * k + 1];
      parts[GroupBatch::wait_mean] = sum[k] / static_cast<double>(group_.size());
    }
  }

  // [steps, columns] -> [steps, chosen]
  [[nodiscard]] std::vector<double> pack(const std::vector<double>& values,
                                         std::span<const std::size_t> chosen) const {
    std::vector<double> packed(count_ * chosen.size());
    for (std::size_t k = 0; k < count_; ++k) {
      for (std::size_t c = 0; c < chosen.size(); ++c)
        packed[k * chosen.size() + c] = values[at(k, chosen[c])];
    }
    return packed;
  }

  const TracedSteps& traced_;
  const Control& group_;
  const CommonClock& clock_;
  const EventTable& table_;
  std::size_t first_, count_;
  bool common_time_;  // of all ranks; else only what each rank sees alone is known
  double layers_scale_;
  std::size_t columns_;
  GroupBatch batch_;
  std::vector<std::int64_t> begin_ns_;
  std::vector<double> last_start_s_, last_end_s_;  // of this rank; once a scope is reduced, of all its ranks
};

}  // namespace

void take_slowest_group(const Team& team, std::vector<double>& step_s, std::vector<double>& part_s) {
  const std::vector<double> own = step_s;
  const std::size_t width = part_s.size() / std::max<std::size_t>(1, step_s.size());
  team.active->reduce_max(step_s);
  // Of groups that are equally slow, the first rank of the first one speaks.
  std::vector<std::int64_t> speaker(own.size());
  const std::int64_t nobody = team.active->size();
  for (std::size_t k = 0; k < own.size(); ++k) {
    const bool slowest = team.group->rank() == 0 && own[k] == step_s[k];
    speaker[k] = slowest ? team.active->rank() : nobody;
  }
  std::vector<std::int64_t> chosen = speaker;
  team.active->reduce_min(chosen);
  for (std::size_t i = 0; i < part_s.size(); ++i) {
    const std::size_t k = i / width;
    if (speaker[k] == nobody || speaker[k] != chosen[k]) part_s[i] = 0;
  }
  team.active->reduce_sum(part_s);
}

namespace {

void append(GroupBatch& batch, bool communication_known, bool of_device, Samples& samples) {
  for (std::size_t k = 0; k < batch.step_s.size(); ++k) {
    const double* part = batch.parts_of(k);
    double compute_s = 0, communication_s = 0;
    for (std::size_t half = 0; half < kDirections; ++half) {
      const double compute = part[GroupBatch::forward_compute + half];
      const double communication = part[GroupBatch::forward_communication + half];
      samples.compute_by_half_s[half].push_back(compute);
      if (communication_known) samples.communication_by_half_s[half].push_back(communication);
      compute_s += compute;
      communication_s += communication;
    }
    samples.step_s.push_back(batch.step_s[k]);
    if (!batch.measured_step_s.empty()) samples.measured_step_s.push_back(batch.measured_step_s[k]);
    samples.compute_s.push_back(compute_s);
    if (!communication_known) continue;
    samples.communication_s.push_back(communication_s);
    samples.other_s.push_back(batch.step_s[k] - compute_s - communication_s);
    samples.wait_s.push_back(part[GroupBatch::wait]);
    samples.wait_mean_s.push_back(part[GroupBatch::wait_mean]);
    samples.imbalance_s.push_back(part[GroupBatch::imbalance]);
    if (of_device) samples.device_error_s.push_back(part[GroupBatch::device_error]);
    for (std::size_t kind = 0; kind < batch.kinds.size(); ++kind)
      samples.collectives[kind].communication_s.push_back(part[GroupBatch::parts + kind]);
  }
}

// How many differences between clocks there are in one step; with several groups in that which has most.
void count_differences(const EventTable& table, const Team& team, Samples& samples) {
  for (const EventKey& kind : kinds_of(table.keys())) samples.collectives.push_back({kind, {}, 0});
  for (const EventTable::Scope& scope : table.scopes()) {
    const std::int64_t crosses = team.active->max(std::int64_t{scope.spans_clocks ? 1 : 0});
    for (const std::size_t column : scope.columns) {
      const EventKey& key = table.keys()[column];
      const auto same = std::find_if(samples.collectives.begin(), samples.collectives.end(),
                                     [&](const auto& collective) { return collective.kind == kind_of(key); });
      // What counts several times is wrong several times.
      const std::int64_t differences = crosses * std::llround(key.in_layers ? samples.layers_scale : 1);
      same->differences += differences;
      samples.differences += differences;
      samples.differences_by_half[static_cast<std::size_t>(key.direction)] += differences;
    }
  }
}

double compute_of_this_rank(const TracedSteps& traced) {
  std::int64_t sum_ns = 0;
  for (std::size_t i = 0; i < traced.spans.size(); ++i) {
    if (traced.events[i % traced.events.size()].is_compute())
      sum_ns += traced.spans[i].end_ns - traced.spans[i].start_ns;
  }
  return static_cast<double>(sum_ns) * 1e-9;
}

void append_host_steps(const TracedSteps& traced, const Team& team, Samples& samples) {
  std::vector<double> host_step_s;
  for (const StepSpan& step : traced.steps) host_step_s.push_back(static_cast<double>(step.host_ns) * 1e-9);
  team.active->reduce_max(host_step_s);
  samples.host_step_s.insert(samples.host_step_s.end(), host_step_s.begin(), host_step_s.end());
}

}  // namespace

bool is_above_error(const std::vector<double>& samples_s, std::int64_t differences, double error_s) {
  if (samples_s.empty() || differences == 0) return true;
  return summarise(samples_s).median >= kErrorsOfANumber * static_cast<double>(differences) * error_s;
}

void keep_median_step(const TracedSteps& traced, Samples& samples) {
  if (traced.steps.empty() || samples.step_s.size() < traced.steps.size()) return;
  const double median = summarise(samples.step_s).median;
  const std::size_t first = samples.step_s.size() - traced.steps.size();
  const auto distance = [&](std::size_t k) { return std::abs(samples.step_s[first + k] - median); };
  std::size_t nearest = 0;
  for (std::size_t k = 1; k < traced.steps.size(); ++k)
    nearest = distance(k) < distance(nearest) ? k : nearest;
  const auto spans = traced.spans_of(nearest);
  // Of layers that stand for more than ran, the step as it ran.
  const std::vector<double>& ran_s =
      samples.measured_step_s.empty() ? samples.step_s : samples.measured_step_s;
  samples.kept = {first + nearest,
                  ran_s[first + nearest],
                  traced.steps[nearest].start_ns,
                  traced.events,
                  {spans.begin(), spans.end()}};
}

void reduce_steps(const TracedSteps& traced, const Team& team, Samples& samples) {
  constexpr std::size_t kValues = std::size_t{1} << 20;  // of an array, about
  samples.own_compute_s += compute_of_this_rank(traced);
  if (team.stages) return reduce_pipeline_steps(traced, team, samples);
  const CommonClock& clock = *team.clock;
  const EventTable table(traced.events, *team.group, clock);
  const bool common_time =
      team.active->max(std::int64_t{table.has_one_clock() || clock.is_aligned() ? 0 : 1}) == 0;
  samples.communication_known = common_time || table.scopes().empty();
  // What the host's clock saw has no parts to compose a whole from.
  if (traced.of_device && samples.layers_scale == 1) append_host_steps(traced, team, samples);
  if (samples.step_s.empty()) count_differences(table, team, samples);
  const std::size_t chunk = std::max<std::size_t>(1, kValues / std::max<std::size_t>(1, table.keys().size()));
  for (std::size_t first = 0; first < traced.steps.size(); first += chunk) {
    const std::size_t count = std::min(chunk, traced.steps.size() - first);
    GroupReduction reduction(traced, *team.group, clock, table, first, count, common_time,
                             samples.layers_scale);
    GroupBatch batch = reduction.run();
    samples.own_durations += team.active->max(batch.own_durations);
    if (common_time) samples.own_wait_s = samples.own_wait_s.value_or(0) + batch.own_wait_s;
    samples.own_last.resize(batch.own_last.size());
    for (std::size_t i = 0; i < batch.own_last.size(); ++i) samples.own_last[i] += batch.own_last[i];
    if (team.groups.size() > 1) {
      if (!batch.measured_step_s.empty()) team.active->reduce_max(batch.measured_step_s);
      take_slowest_group(team, batch.step_s, batch.part_s);
    }
    append(batch, samples.communication_known, traced.of_device, samples);
  }
}

}  // namespace tpbench
