#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/direction.hpp"
#include "measure/heartbeat.hpp"

namespace tpbench {

/// What an event of a step is. Two events with equal keys are the same thing done again; over ranks events
/// are matched by their keys, and equal ones by their order.
struct EventKey {
  Activity kind = Activity::compute;
  Direction direction = Direction::forward;
  std::int64_t bytes = 0;  ///< of a collective: the whole array
  /// Among which ranks: 0, all those that share the layer; n, parts of n neighbours of them.
  std::int64_t group = 0;
  std::int64_t stage = 0;
  std::int64_t microbatch = 0;
  bool deferred = false;   ///< of a backward that was split: gradients of weights, which nobody waits for
  bool in_layers = false;  ///< of a model: in its layers, and not before or behind them
  auto operator<=>(const EventKey&) const = default;

  [[nodiscard]] bool is_compute() const { return kind == Activity::compute; }
  /// Between two stages of a pipeline; `stage` is the one that receives.
  [[nodiscard]] bool is_message() const { return kind == Activity::send || kind == Activity::receive; }
};

/// From when to when, on this rank's clock.
struct EventSpan {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
};

/// One step of one rank, on its clock.
struct StepSpan {
  /// The moment that was agreed on; else that of this rank's first mark.
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  /// On a device: by how much its events may be misplaced on the host's clock; and from before the first mark
  /// was queued until the last one was seen, by the host's clock.
  std::int64_t place_error_ns = 0;
  std::int64_t host_ns = 0;
};

/// Steps of one rank, all with the same list of events.
struct TracedSteps {
  std::vector<EventKey> events;
  std::vector<StepSpan> steps;
  std::vector<EventSpan> spans;  ///< [steps, events]
  bool of_device = false;        ///< taken by a device's clock

  [[nodiscard]] std::span<const EventSpan> spans_of(std::size_t step) const {
    return std::span(spans).subspan(step * events.size(), events.size());
  }
};

}  // namespace tpbench
