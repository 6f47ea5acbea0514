#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "comm/control.hpp"
#include "comm/forwarding_communicator.hpp"
#include "compute/forwarding_backend.hpp"
#include "measure/heartbeat.hpp"

namespace tpbench {

/// What checks of single operations have found on one rank. Off but for verification. Called from the thread
/// that computes and from the one that communicates.
class OperationErrors {
 public:
  bool on = false;

  /// An operation whose results are sums of `length` terms has this relative error, found by sums of `terms`
  /// of them, which are taken in double and so round as f64 itself does. Infinite: something was not a
  /// number.
  void add(double error, DType dtype, std::int64_t length, std::int64_t terms);
  void count_flop(double flop);
  void count_bytes(std::int64_t bytes);

  /// The largest error over what rounding explains of that operation: up to 1 is fine.
  [[nodiscard]] double worst() const;
  [[nodiscard]] std::int64_t operations() const;
  /// What has been executed: 2mnk of products, bytes given to collectives.
  [[nodiscard]] double flop() const;
  [[nodiscard]] std::int64_t bytes() const;

 private:
  mutable std::mutex mutex_;
  double worst_ = 0;
  std::int64_t operations_ = 0;
  double flop_ = 0;
  std::int64_t bytes_ = 0;
};

/// The largest error that rounding explains in a sum of `length` terms, relative to their size: 8 epsilon
/// sqrt(length). Rounding errors of long sums grow like sqrt(n); one wrong operand changes a result by about
/// 1/sqrt(n), thousands of times more.
double rounding_tolerance(DType dtype, std::int64_t length);

/// A backend that, while `errors.on`, compares what each operation did with the operation's definition, on
/// the operands that it really had: by sums of each row with random factors (Freivalds' check of products: a
/// wrong entry anywhere in a row shows, at the cost of one pass over the operands). What lies between the
/// rows of a result must stay as it was. For cases too large to be made anew as a whole: takes memory for
/// single rows only. Shows a sign of life for each operation.
std::unique_ptr<Backend> make_checked_backend(std::unique_ptr<Backend> inner, OperationErrors& errors,
                                              Heartbeat& heartbeat);

/// The same for the collectives of `group`: sums with random factors of what went in and what came out.
std::unique_ptr<Communicator> make_checked_communicator(std::unique_ptr<Communicator> inner,
                                                        const Control& group, Backend& backend,
                                                        OperationErrors& errors, Heartbeat& heartbeat);

}  // namespace tpbench
