#include "bench/end_signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

namespace tpbench {
namespace {

// Libraries start threads before main, which would take a signal by its default action: so signals are
// handled by writing to a pipe, instead of being blocked and waited for.
int signal_pipe[2] = {-1, -1};

struct Asked {
  int signal;
  const char* name;
  struct sigaction old;
};
Asked asked_signals[] = {{SIGINT, "Ctrl-C", {}},
                         {SIGTERM, "SIGTERM", {}},
                         {SIGHUP, "SIGHUP", {}},
                         {SIGUSR1, "SIGUSR1", {}},
                         {SIGUSR2, "SIGUSR2", {}}};

void write_signal(int signal) {
  const int saved = errno;
  const auto byte = static_cast<char>(signal);
  [[maybe_unused]] const auto written = write(signal_pipe[1], &byte, 1);
  errno = saved;
}

}  // namespace

EndSignals::EndSignals() {
  if (pipe2(signal_pipe, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe for signals");
  struct sigaction action = {};
  action.sa_handler = write_signal;
  action.sa_flags = SA_RESTART;
  for (Asked& asked : asked_signals) {
    sigaction(asked.signal, nullptr, &asked.old);
    if (asked.signal == SIGHUP && asked.old.sa_handler == SIG_IGN) continue;
    sigaction(asked.signal, &action, nullptr);
  }
}

EndSignals::~EndSignals() {
  for (const Asked& asked : asked_signals) sigaction(asked.signal, &asked.old, nullptr);
  close(signal_pipe[0]);
  close(signal_pipe[1]);
}

int EndSignals::descriptor() const { return signal_pipe[0]; }

int EndSignals::read() const {
  char signal = 0;
  return ::read(signal_pipe[0], &signal, 1) == 1 ? signal : 0;
}

void EndSignals::wake() const { write_signal(0); }

const char* EndSignals::name_of(int signal) {
  for (const Asked& asked : asked_signals) {
    if (asked.signal == signal) return asked.name;
  }
  return "a signal";
}

}  // namespace tpbench
