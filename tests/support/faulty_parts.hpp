#pragma once

#include <cstdint>
#include <string_view>

#include "base/enum_names.hpp"
#include "bench/parts.hpp"

namespace tpbench::test {

/// What is put wrong on purpose.
enum class FaultKind {
  wrong_weight,   ///< one entry of a weight is another after it was filled
  wrong_input,    ///< the same for an input, or for what a rank brings to a probe
  wrong_sum,      ///< one entry of a collective's result is off by as much as the largest one
  no_gemm,        ///< a GEMM that does nothing
  no_collective,  ///< a collective that moves nothing (the ranks still meet)
  no_message,     ///< a message to the next stage that is not sent; `step` counts messages
  exception,      ///< throws
  slow,           ///< sleeps before the work
  stretch,        ///< every timed call takes longer by a share of its own time
  hang,           ///< sleeps for ever
  kill,           ///< the process ends itself by SIGKILL
  stop            ///< the process stops itself by SIGSTOP
};

/// Where exception, slow, hang, kill and stop strike.
enum class FaultPlace { setup, fill, compute, collective };

/// What kind of exception.
enum class FaultError { case_error, bad_alloc, comm_error };

struct InjectedFault {
  FaultKind kind = FaultKind::wrong_weight;
  FaultPlace place = FaultPlace::compute;
  FaultError error = FaultError::case_error;
  long rank = -1;                ///< world rank; -1: every rank
  std::int64_t case_number = 0;  ///< the n-th case that this rank runs, from 1; 0: every case
  /// The n-th GEMM of the case on this rank (of the collectives for a fault in one), from 1; 0: every one.
  /// The run of verification counts too: with one GEMM in a step, 1 is verification's and n is the (n-1)-th
  /// step of warm-up or sampling.
  std::int64_t step = 0;
  std::int64_t milliseconds = 5;  ///< for slow
  std::int64_t percent = 10;      ///< for stretch
  std::int64_t element = -1;      ///< for wrong_sum: which entry of the result; -1: the middle one
};

/// "kind:key=value:..." with the keys rank, case, step, ms, percent, element, at (setup, fill, compute,
/// collective) and what (case_error, bad_alloc, comm_error). Throws std::invalid_argument naming the word
/// that it does not know.
InjectedFault parse_fault(std::string_view text);

/// `parts` with the fault put in between, on the rank that is `world_rank`.
Parts with_fault(Parts parts, const InjectedFault& fault, long world_rank);

}  // namespace tpbench::test

TPBENCH_ENUM_NAMES(tpbench::test::FaultKind, {tpbench::test::FaultKind::wrong_weight, "wrong_weight"},
                   {tpbench::test::FaultKind::wrong_input, "wrong_input"},
                   {tpbench::test::FaultKind::wrong_sum, "wrong_sum"},
                   {tpbench::test::FaultKind::no_gemm, "no_gemm"},
                   {tpbench::test::FaultKind::no_collective, "no_collective"},
                   {tpbench::test::FaultKind::no_message, "no_message"},
                   {tpbench::test::FaultKind::exception, "throw"}, {tpbench::test::FaultKind::slow, "slow"},
                   {tpbench::test::FaultKind::stretch, "stretch"}, {tpbench::test::FaultKind::hang, "hang"},
                   {tpbench::test::FaultKind::kill, "kill"}, {tpbench::test::FaultKind::stop, "stop"});
TPBENCH_ENUM_NAMES(tpbench::test::FaultPlace, {tpbench::test::FaultPlace::setup, "setup"},
                   {tpbench::test::FaultPlace::fill, "fill"}, {tpbench::test::FaultPlace::compute, "compute"},
                   {tpbench::test::FaultPlace::collective, "collective"});
TPBENCH_ENUM_NAMES(tpbench::test::FaultError, {tpbench::test::FaultError::case_error, "case_error"},
                   {tpbench::test::FaultError::bad_alloc, "bad_alloc"},
                   {tpbench::test::FaultError::comm_error, "comm_error"});
