#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace tpbench {

/// What the process tells the shell (docs/results.md, "Exit status").
enum class ExitStatus : int {
  ok = 0,            ///< every case ok or skipped
  case_failed = 1,   ///< at least one case failed
  bad_usage = 2,     ///< the command line or the sweep file is wrong
  environment = 3,   ///< this machine or launch cannot do it
  inconclusive = 4,  ///< a gate that could not judge (compare --fail-above)
  interrupted = 130
};

/// One thing that is wrong with what the user gave: where it stands, what it says, which rule it breaks.
struct Fault {
  std::string place;    ///< "sweep.json:7" or "--set tp_degree=x"
  std::string pointer;  ///< JSON pointer into the sweep, "/tp_degree/1"; empty when there is none
  std::string value;    ///< the offending value as JSON; empty when there is none (a missing key)
  std::string rule;     ///< the rule it breaks, with the remedy where there is one

  /// "sweep.json:7: /tp_degree/1: -3: must be a whole number from 1 to 65536"
  [[nodiscard]] std::string to_string() const;
};

/// The command line or the sweep file is wrong: exit status 2. Holds every fault found, not only the first.
class UsageError : public std::runtime_error {
 public:
  explicit UsageError(std::vector<Fault> faults);
  explicit UsageError(const std::string& message) : std::runtime_error(message) {}
  [[nodiscard]] const std::vector<Fault>& faults() const { return faults_; }

 private:
  std::vector<Fault> faults_;
};

/// The machine or the launch cannot do what was asked (no MPI, no permission, disk full): exit status 3.
class EnvironmentError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One case cannot be carried through; the sweep goes on. The message becomes the record's `reason`.
class CaseError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A communication call failed. The state of the communicator is unknown: the sweep cannot go on safely.
class CommError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace tpbench
