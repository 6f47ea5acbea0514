#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "bench/team.hpp"
#include "bench/waiting.hpp"
#include "measure/event.hpp"

namespace tpbench {

/// A collective, whatever the microbatch and the stage.
inline EventKey bare(const EventKey& key) { return {key.kind, key.direction, key.bytes, key.group}; }

inline bool is_collective(const EventKey& key) { return !key.is_compute() && !key.is_message(); }

/// What is said of one rank of the pipeline in one step.
struct RankPart {
  enum : std::size_t {
    forward_compute,
    backward_compute,
    forward_communication,
    backward_communication,
    boundary,
    input_wait,
    end_wait,
    wait,  // at its collectives, of the rank that waits longest
    wait_mean,
    imbalance,
    count
  };
};
/// Of one of its stages; sums over the microbatches, and how many.
struct StagePart {
  enum : std::size_t {
    forward_work,
    backward_work,
    deferred_work,
    input_transfer,
    inputs_waited_for,
    gradient_transfer,
    gradients_waited_for,
    count
  };
};
inline constexpr std::size_t kEnds =
    2;  // of the first microbatch and of the last, in the last stage's forward

/// Columns of what is reduced, sample after sample.
struct PipelineColumns {
  std::size_t ranks, stages, kinds;
  [[nodiscard]] std::size_t part(std::size_t rank, std::size_t which) const {
    return rank * RankPart::count + which;
  }
  [[nodiscard]] std::size_t kind(std::size_t rank, std::size_t which) const {
    return ranks * RankPart::count + rank * kinds + which;
  }
  [[nodiscard]] std::size_t work(std::size_t stage, std::size_t which) const {
    return ranks * (RankPart::count + kinds) + stage * StagePart::count + which;
  }
  [[nodiscard]] std::size_t end(std::size_t which) const {
    return ranks * (RankPart::count + kinds) + stages * StagePart::count + which;
  }
  [[nodiscard]] std::size_t width() const { return end(kEnds); }
};

// The microbatch that ends as long after the first one as so many take in a stream. Of several stages on a
// rank, as many microbatches as there are ranks go through one after the other, and then comes the next
// stage: there it is the first of the last such round, which may be the first of all.
inline std::size_t last_in_steady_state(const PipelineColumns& columns, std::size_t microbatches) {
  const bool is_virtual = columns.stages > columns.ranks && columns.ranks > 1;
  return is_virtual ? (microbatches - 1) / columns.ranks * columns.ranks : microbatches - 1;
}

/// Steps of this rank, reduced over the ranks of its group to a row of `columns()` for each.
class PipelineReduction {
 public:
  PipelineReduction(const TracedSteps& traced, const Team& team, std::vector<EventKey> kinds,
                    std::size_t stages, std::size_t microbatches)
      : traced_(traced),
        team_(team),
        clock_(*team.clock),
        kinds_(std::move(kinds)),
        microbatches_(microbatches),
        columns_{static_cast<std::size_t>(team.pp_ranks()), stages, kinds_.size()} {}

  [[nodiscard]] const PipelineColumns& columns() const { return columns_; }

  // Steps [first, first + count): how long they are, and their parts [count, width].
  void run(std::size_t first, std::size_t count, bool common_time, std::vector<double>& step_s,
           std::vector<double>& part_s) {
    first_ = first;
    count_ = count;
    common_time_ = common_time;
    find_begins();
    find_spans();
    step_s.assign(count_, 0);
    for (std::size_t k = 0; k < count_; ++k) step_s[k] = since_begin_s(k, step(k).end_ns);
    team_.group->reduce_max(step_s);
    if (common_time_) find_sends();
    part_s.assign(count_ * columns_.width(), kNever);
    for (std::size_t k = 0; k < count_; ++k)
      add_step(k, step_s[k], std::span(part_s).subspan(k * columns_.width(), columns_.width()));
    if (common_time_) add_waits(part_s);
    team_.group->reduce_max(part_s);
    std::replace(part_s.begin(), part_s.end(), kNever, 0.0);
  }

 private:
  static constexpr double kNever = -std::numeric_limits<double>::infinity();

  [[nodiscard]] const StepSpan& step(std::size_t k) const { return traced_.steps[first_ + k]; }
  [[nodiscard]] std::size_t events() const { return traced_.events.size(); }
  [[nodiscard]] std::size_t own_rank() const { return static_cast<std::size_t>(team_.pp_rank()); }
  [[nodiscard]] double since_begin_s(std::size_t k, std::int64_t own_ns) const {
    const std::int64_t ns =
        common_time_ ? clock_.common_ns(own_ns) - begin_ns_[k] : own_ns - step(k).start_ns;
    return static_cast<double>(ns) * 1e-9;
  }

  void find_begins() {
    begin_ns_.clear();
    if (!common_time_) return;
    for (std::size_t k = 0; k < count_; ++k) begin_ns_.push_back(clock_.common_ns(step(k).start_ns));
    team_.group->reduce_min(begin_ns_);
  }

  // Of the ranks that share a layer: the last start of each event, the last end, and the longest duration.
  void find_spans() {
    start_s_.clear(), end_s_.clear(), duration_s_.clear();
    for (std::size_t k = 0; k < count_; ++k) {
      for (const EventSpan& span : traced_.spans_of(first_ + k)) {
        start_s_.push_back(since_begin_s(k, span.start_ns));
        end_s_.push_back(since_begin_s(k, span.end_ns));
        duration_s_.push_back(static_cast<double>(span.end_ns - span.start_ns) * 1e-9);
      }
    }
    own_start_s_ = start_s_;
    own_end_s_ = end_s_;
    for (auto* values : {&start_s_, &end_s_, &duration_s_}) team_.shards->reduce_max(*values);
  }

  [[nodiscard]] std::size_t message(const EventKey& key) const {
    const std::size_t direction = key.direction == Direction::forward ? 0 : columns_.stages;
    return (direction + static_cast<std::size_t>(key.stage)) * microbatches_ +
           static_cast<std::size_t>(key.microbatch);
  }

  // When each message was sent: known to the ranks that hold the same shard, and of these the last.
  void find_sends() {
    const std::size_t messages = 2 * columns_.stages * microbatches_;
    sent_s_.assign(count_ * messages, kNever);
    for (std::size_t k = 0; k < count_; ++k) {
      for (std::size_t i = 0; i < events(); ++i) {
        const EventKey& key = traced_.events[i];
        if (key.kind != Activity::send || key.bytes == 0) continue;
        sent_s_[k * messages + message(key)] = own_start_s_[k * events() + i];
      }
    }
    team_.stages->reduce_max(sent_s_);
    team_.shards->reduce_max(sent_s_);
  }

  void add_step(std::size_t k, double step_s, std::span<double> to) {
    const std::size_t rank = own_rank();
    for (std::size_t which = 0; which < RankPart::count; ++which) to[columns_.part(rank, which)] = 0;
    for (std::size_t kind = 0; kind < columns_.kinds; ++kind) to[columns_.kind(rank, kind)] = 0;
    for (const EventKey& key : traced_.events) {
      if (key.is_message()) continue;
      for (std::size_t which = 0; which < StagePart::count; ++which)
        to[columns_.work(static_cast<std::size_t>(key.stage), which)] = 0;
    }
    double last_end_s = 0;
    for (std::size_t i = 0; i < events(); ++i) {
      add_event(k, i, to);
      last_end_s = std::max(last_end_s, end_s_[k * events() + i]);
    }
    to[columns_.part(rank, RankPart::end_wait)] = common_time_ ? step_s - last_end_s : 0;
  }

  void add_event(std::size_t k, std::size_t i, std::span<double> to) {
    const EventKey& key = traced_.events[i];
    const std::size_t at = k * events() + i, rank = own_rank();
    const auto half = static_cast<std::size_t>(key.direction);
    if (key.is_compute()) {
      to[columns_.part(rank, RankPart::forward_compute + half)] += duration_s_[at];
      add_work(key, duration_s_[at], at, to);
    } else if (!common_time_) {
      return;  // what passes between ranks is not known
    } else if (is_collective(key)) {
      const double transfer_s = end_s_[at] - start_s_[at];
      to[columns_.part(rank, RankPart::forward_communication + half)] += transfer_s;
      const auto kind = std::find(kinds_.begin(), kinds_.end(), bare(key)) - kinds_.begin();
      to[columns_.kind(rank, static_cast<std::size_t>(kind))] += transfer_s;
      add_work(key, transfer_s, at, to);
    } else if (key.kind == Activity::send) {
      // Without bytes it waits for a place to be free.
      to[columns_.part(rank, key.bytes == 0 ? RankPart::input_wait : RankPart::boundary)] += duration_s_[at];
    } else {
      add_receive(k, key, at, to);
    }
  }

  // From the later of the moment at which it was sent and that at which it was waited for.
  void add_receive(std::size_t k, const EventKey& key, std::size_t at, std::span<double> to) {
    const double sent_s = sent_s_[k * 2 * columns_.stages * microbatches_ + message(key)];
    const double from_s = std::min(end_s_[at], std::max(sent_s, start_s_[at]));
    const double transfer_s = end_s_[at] - from_s;
    to[columns_.part(own_rank(), RankPart::boundary)] += transfer_s;
    to[columns_.part(own_rank(), RankPart::input_wait)] += from_s - start_s_[at];
    if (sent_s < start_s_[at]) return;  // some of the way lay behind it
    const auto stage = static_cast<std::size_t>(key.stage);
    const bool is_input = key.direction == Direction::forward;
    to[columns_.work(stage, is_input ? StagePart::input_transfer : StagePart::gradient_transfer)] +=
        transfer_s;
    to[columns_.work(stage, is_input ? StagePart::inputs_waited_for : StagePart::gradients_waited_for)] += 1;
  }

  void add_work(const EventKey& key, double seconds, std::size_t at, std::span<double> to) {
    const auto stage = static_cast<std::size_t>(key.stage);
    const bool is_forward = key.direction == Direction::forward;
    to[columns_.work(stage, is_forward     ? StagePart::forward_work
                            : key.deferred ? StagePart::deferred_work
                                           : StagePart::backward_work)] += seconds;
    if (!is_forward || stage + 1 != columns_.stages) return;
    const auto last = static_cast<std::int64_t>(last_in_steady_state(columns_, microbatches_));
    if (key.microbatch == 0) to[columns_.end(0)] = std::max(to[columns_.end(0)], end_s_[at]);
    if (key.microbatch == last) to[columns_.end(1)] = std::max(to[columns_.end(1)], end_s_[at]);
  }

  // What the ranks that share layers wait for each other.
  void add_waits(std::vector<double>& part_s) {
    std::vector<double> largest(count_ * 2, 0), sum(count_, 0);
    for (std::size_t k = 0; k < count_; ++k) {
      Waiting waiting;
      for (std::size_t i = 0; i < events(); ++i) {
        const std::size_t at = k * events() + i;
        if (is_collective(traced_.events[i]))
          waiting.add(own_start_s_[at], start_s_[at], own_end_s_[at], end_s_[at]);
      }
      sum[k] = largest[2 * k] = waiting.all_s();
      largest[2 * k + 1] = waiting.imbalance_s();
    }
    team_.shards->reduce_max(largest);
    team_.shards->reduce_sum(sum);
    for (std::size_t k = 0; k < count_; ++k) {
      double* to = part_s.data() + k * columns_.width();
      to[columns_.part(own_rank(), RankPart::wait)] = largest[2 * k];
      to[columns_.part(own_rank(), RankPart::imbalance)] = largest[2 * k + 1];
      to[columns_.part(own_rank(), RankPart::wait_mean)] = sum[k] / team_.shards->size();
    }
  }

  const TracedSteps& traced_;
  const Team& team_;
  const CommonClock& clock_;
  std::vector<EventKey> kinds_;
  std::size_t microbatches_;
  PipelineColumns columns_;
  std::size_t first_ = 0, count_ = 0;
  bool common_time_ = true;
  std::vector<std::int64_t> begin_ns_;
  std::vector<double> own_start_s_, own_end_s_, start_s_, end_s_, duration_s_;  // [steps, events]
  std::vector<double> sent_s_;                                                  // [steps, messages]
};

}  // namespace tpbench
