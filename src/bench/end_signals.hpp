#pragma once

#include <csignal>

namespace tpbench {

/// Takes the signals that ask a program to end, as long as it lives: from people (SIGINT), launchers (SIGTERM),
/// batch systems ahead of a time limit (SIGUSR1, SIGUSR2) and a terminal that is closed (SIGHUP, unless nohup
/// had it ignored). One at a time.
class EndSignals {
 public:
  EndSignals();
  ~EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  /// To be polled for reading.
  [[nodiscard]] int descriptor() const;
  /// The next signal that has come, or 0 for a call of `wake`.
  [[nodiscard]] int read() const;
  /// Makes the descriptor readable.
  void wake() const;

  static const char* name_of(int signal);
};

}  // namespace tpbench
