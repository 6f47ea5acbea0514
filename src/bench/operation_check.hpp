#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "comm/control.hpp"
#include "comm/forwarding_communicator.hpp"
#include "compute/forwarding_backend.hpp"
#include "measure/heartbeat.hpp"

namespace tpbench {

/// What checks of single operations have found on one rank. Off but for verification.
struct OperationErrors {
  bool on = false;

  /// Called from the thread that computes and from the one that communicates.
  void add(double error);
  /// Relative; infinite where something was not a number.
  [[nodiscard]] double largest() const { return largest_.load(); }

 private:
  std::atomic<double> largest_{0};
};

/// A backend that, while `errors.on`, compares what each operation did with the operation's definition, on
/// the operands that it really had: every row of every product by sums with random signs (Freivalds' check: a
/// wrong entry anywhere in a row shows, at the cost of one pass over the operands), every entry of all else.
/// For cases too large to be made anew as a whole. Shows a sign of life for each operation.
std::unique_ptr<Backend> make_checked_backend(std::unique_ptr<Backend> inner, OperationErrors& errors,
                                              Heartbeat& heartbeat);

/// The same for the collectives of `group`: sums with random signs of what went in and what came out.
std::unique_ptr<Communicator> make_checked_communicator(std::unique_ptr<Communicator> inner,
                                                        const Control& group, Backend& backend,
                                                        OperationErrors& errors, Heartbeat& heartbeat);

}  // namespace tpbench
