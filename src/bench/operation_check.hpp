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

  /// An operation has this relative error, of which rounding explains up to `tolerance`. Infinite: something
  /// was not a number.
  void add(double error, double tolerance);
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

/// The largest error that rounding explains in a result with sums of `length` terms behind it, relative to
/// its size. Where every addition rounds to the type (f32, f64): 8 epsilon sqrt(length), as rounding errors
/// of long sums grow like sqrt(n); one wrong operand changes a result by about 1/sqrt(n), thousands of times
/// more. Where products are summed in f32 and operands and stored results alone are rounded to the type
/// (tf32, f16, bf16) that of f32, and 8 epsilon beside it: the errors of the operands of a sum are
/// independent of each other, so that they grow as its size does; `growth` times that where results go
/// through several layers.
double rounding_tolerance(DType dtype, std::int64_t length, double growth = 1);

/// What one operation does to the numbers that it is checked by.
struct Rounding {
  DType dtype = DType::f32;
  std::int64_t length = 1;  ///< terms of a sum
  std::int64_t terms = 1;   ///< how many results are added up to check them: in double, which rounds as f64
  /// How often a number on the way to a result is stored in the element type; 0: results are copies.
  std::int64_t stores = 1;
  /// Whether tf32 is in it: its numbers are those of f32 but for factors of products.
  bool is_product = false;
};

/// The largest error that rounding explains in sums of results of one operation, with random factors. Results
/// in f16 and bf16 are off by 0.21 epsilon each, and so is their sum, relative to the root of the sum of
/// their squares: 3 epsilon are fourteen times as much. (Factors in tf32 may be cut off, not rounded.)
double operation_tolerance(const Rounding& rounding);

/// A backend that, while `errors.on`, compares what each operation did with the operation's definition, on
/// the operands that it really had: by sums of each row with random factors (Freivalds' check of products: a
/// wrong entry anywhere in a row shows, at the cost of one pass over the operands; in a narrow type the row
/// is cut for it, see columns_of_sums). What lies between the rows of a result must stay as it was. For cases
/// too large to be made anew as a whole: takes memory for single rows only. Shows a sign of life for each
/// operation.
std::unique_ptr<Backend> make_checked_backend(std::unique_ptr<Backend> inner, OperationErrors& errors,
                                              Heartbeat& heartbeat);

/// The same for the collectives of `group`: sums with random factors of what went in and what came out.
std::unique_ptr<Communicator> make_checked_communicator(std::unique_ptr<Communicator> inner,
                                                        const Control& group, Backend& backend,
                                                        OperationErrors& errors, Heartbeat& heartbeat);

}  // namespace tpbench
