#pragma once

#include <atomic>
#include <cstdint>

#include "base/enum_names.hpp"

namespace tpbench {

/// What a rank is at. The words up to reduce_scatter, and the last two, are events of a step; the others
/// stand between steps.
enum class Activity : std::uint32_t {
  none,
  compute,
  all_reduce,
  all_gather,
  reduce_scatter,
  synchronise,
  exchange,
  waiting,
  ping_pong,
  send,    ///< to the next stage of a pipeline
  receive  ///< from the one before: waiting, and the transfer
};

/// Which part of a case is running.
enum class Phase : std::uint32_t { idle, setup, fill, verification, warm_up, sampling, reference, report };

/// One rank's sign of life, in memory that the ranks of its host share: written by the rank's main thread at
/// every mark, read by watchdogs. Two relaxed stores a mark, on a cache line of its own: a few nanoseconds.
struct alignas(128) Heartbeat {
  std::atomic<std::uint64_t> beats{0};
  std::atomic<Activity> activity{Activity::none};
  std::atomic<Phase> phase{Phase::idle};
  std::atomic<std::uint64_t> step{0};   ///< of this phase; 0 where there are none
  std::atomic<std::int64_t> stage{-1};  ///< of a pipeline, that it is at; -1 where there are none
  std::atomic<std::int64_t> process_id{0};
  std::atomic<std::int64_t> world_rank{-1};
  /// What this rank ends with, by its own will or because it was told to, and has said why; 0: it stays.
  std::atomic<int> leaving{0};

  void beat(Activity now) {
    activity.store(now, std::memory_order_relaxed);
    beats.store(beats.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void enter(Phase now) {
    phase.store(now, std::memory_order_relaxed);
    step.store(0, std::memory_order_relaxed);
    stage.store(-1, std::memory_order_relaxed);
    beat(Activity::none);
  }
};

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Activity, {tpbench::Activity::none, "between segments"},
                   {tpbench::Activity::compute, "compute"}, {tpbench::Activity::all_reduce, "all_reduce"},
                   {tpbench::Activity::all_gather, "all_gather"},
                   {tpbench::Activity::reduce_scatter, "reduce_scatter"},
                   {tpbench::Activity::synchronise, "synchronise"},
                   {tpbench::Activity::exchange, "exchange of samples"},
                   {tpbench::Activity::waiting, "barrier after the case"},
                   {tpbench::Activity::ping_pong, "ping_pong"}, {tpbench::Activity::send, "send"},
                   {tpbench::Activity::receive, "receive"});
TPBENCH_ENUM_NAMES(tpbench::Phase, {tpbench::Phase::idle, "idle"}, {tpbench::Phase::setup, "setup"},
                   {tpbench::Phase::fill, "fill"}, {tpbench::Phase::verification, "verification"},
                   {tpbench::Phase::warm_up, "warm-up"}, {tpbench::Phase::sampling, "sampling"},
                   {tpbench::Phase::reference, "reference work"}, {tpbench::Phase::report, "report"});
