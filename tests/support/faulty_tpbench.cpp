// tpbench_faulty: the whole program with one thing put wrong on purpose, named by the environment variable
// TPBENCH_TEST_FAULT. Without the variable it is tpbench. The fault's text is
//
//     KIND[:key=value]...
//
// KIND           what happens
// wrong_weight   one entry of every weight is wrong (verification fails)
// wrong_input    one entry of the input, or of what a rank brings to a probe, is wrong (verification fails)
// wrong_sum      one entry of a collective's result is wrong (verification fails; element=N names the entry)
// no_gemm        a GEMM does nothing (verification finds NaN)
// no_collective  a collective moves nothing on this rank; its ranks still meet
// throw          throws; what=case_error (default), bad_alloc, comm_error (the sweep cannot go on after it)
// slow           sleeps ms=N milliseconds (default 5)
// stretch        every timed call (GEMM, activation, copy, collective) takes percent=N percent longer
// (default 10):
//                the whole step does
// hang           sleeps for ever (the watchdog ends the job)
// kill           the process gets SIGKILL from itself
// stop           the process gets SIGSTOP from itself
//
// key            meaning
// rank=R         the world rank that it strikes; every rank when left out
// case=N         the N-th case that this rank runs, from 1 in the order of the run (measure.order: given);
//                a case that is skipped, or whose group this rank is not in, does not count; every case when
//                left out
// step=N         the N-th GEMM of the case on this rank, from 1 (for a fault in a collective: the N-th
//                collective); every one when left out. The untimed run of verification counts: with one GEMM
//                in a step, 1 is that of verification, then come warm-up and sampling. mlp has two GEMMs in a
//                step; num_layers multiplies them.
// at=PLACE       where throw, slow, hang, kill and stop strike: setup (while tensors are allocated), fill,
//                compute (before a GEMM, inside its segment; default), collective (before one, inside its
//                segment)
//
// wrong_weight:rank=1             wrong_sum:rank=0:case=2     hang:rank=1:case=3:step=5
// throw:rank=1:at=setup:what=bad_alloc                        throw:rank=1
// slow:rank=1:ms=5                kill:rank=1:case=4:step=10  stop:rank=0:at=collective:step=7
//
// A throw in a timed step cannot be agreed on, as the other ranks wait in a collective: the job then ends.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "base/error.hpp"
#include "cli/program.hpp"
#include "environment/launch.hpp"
#include "faulty_parts.hpp"

int main(int argc, char** argv) {
  tpbench::Parts parts = tpbench::built_in_parts();
  try {
    if (const char* text = std::getenv("TPBENCH_TEST_FAULT")) {
      const long rank = tpbench::detect_launch().rank.value_or(0);
      parts = tpbench::test::with_fault(std::move(parts), tpbench::test::parse_fault(text), rank);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "TPBENCH_TEST_FAULT: %s\n", error.what());
    return static_cast<int>(tpbench::ExitStatus::bad_usage);
  }
  return tpbench::run_program(argc, argv, parts);
}
