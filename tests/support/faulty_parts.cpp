#include "faulty_parts.hpp"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <new>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "comm/forwarding_communicator.hpp"
#include "compute/forwarding_backend.hpp"
#include "forwarding_point_to_point.hpp"
#include "layers/tensors.hpp"
#include "measure/clock.hpp"

namespace tpbench::test {
namespace {

// What a fault has seen on this rank; shared by the backend and the communicator of a case.
class Trigger {
 public:
  explicit Trigger(const InjectedFault& fault) : fault_(fault) {}

  void next_case() {
    ++cases_;
    gemms_ = collectives_ = messages_ = 0;
  }
  [[nodiscard]] const InjectedFault& fault() const { return fault_; }
  [[nodiscard]] bool is(FaultKind kind) const { return fault_.kind == kind && in_case(); }

  /// Runs `call` and, with a fault that stretches, spins for its share of the time that the call took: a
  /// sleep would be longer than what is to be added.
  template <typename Call>
  void stretched(const Call& call) const {
    const double start = now_s();
    call();
    if (!is(FaultKind::stretch)) return;
    const double took_s = now_s() - start;
    const double until = start + took_s * (1 + static_cast<double>(fault_.percent) / 100);
    while (now_s() < until) {
    }
  }

  /// Called before each GEMM and each collective. True when a fault that is bound to a step strikes now.
  bool enter_gemm() { return due(++gemms_); }
  bool enter_collective() { return due(++collectives_); }
  bool enter_message() { return due(++messages_); }

  void strike_at(FaultPlace place) const {
    if (!in_case() || fault_.place != place) return;
    switch (fault_.kind) {
      case FaultKind::exception:
        fail();
      case FaultKind::slow:
        std::this_thread::sleep_for(std::chrono::milliseconds(fault_.milliseconds));
        return;
      case FaultKind::hang:
        for (;;) pause();
      case FaultKind::kill:
        raise(SIGKILL);
        return;
      case FaultKind::stop:
        raise(SIGSTOP);
        return;
      default:
        return;
    }
  }

 private:
  [[nodiscard]] bool in_case() const {
    return cases_ > 0 && (fault_.case_number == 0 || fault_.case_number == cases_);
  }
  [[nodiscard]] bool due(std::int64_t call) const {
    return in_case() && (fault_.step == 0 || fault_.step == call);
  }
  [[noreturn]] void fail() const {
    if (fault_.error == FaultError::bad_alloc) throw std::bad_alloc();
    if (fault_.error == FaultError::comm_error) throw CommError("a communication error put in by a test");
    throw CaseError("an error put in by a test");
  }

  InjectedFault fault_;
  std::int64_t cases_ = 0;
  std::int64_t gemms_ = 0;
  std::int64_t collectives_ = 0;
  std::int64_t messages_ = 0;
};

void change(void* data, std::int64_t element, DType dtype, double by) {
  dispatch(dtype, [&](auto zero) {
    auto& value = static_cast<decltype(zero)*>(data)[element];
    value = static_cast<decltype(zero)>(static_cast<float>(static_cast<double>(value) + by));
  });
}

// The largest of the entries that are numbers, or 1.
double largest_of(const void* data, std::int64_t count, DType dtype) {
  double largest = 1;
  dispatch(dtype, [&](auto zero) {
    const auto* values = static_cast<const decltype(zero)*>(data);
    for (std::int64_t i = 0; i < count; ++i)
      largest = std::fmax(largest, std::abs(static_cast<double>(values[i])));
  });
  return largest;
}

bool is_weight(const TensorKey& key) {
  const auto is = [&](TensorName name) { return key.tensor == static_cast<std::uint32_t>(name); };
  return is(TensorName::embedding) || is(TensorName::head) ||
         (key.tensor > static_cast<std::uint32_t>(TensorName::input) &&
          key.tensor < static_cast<std::uint32_t>(TensorName::output_gradient));
}

class FaultyBackend final : public ForwardingBackend {
 public:
  FaultyBackend(std::unique_ptr<Backend> inner, std::shared_ptr<Trigger> trigger)
      : ForwardingBackend(std::move(inner)), trigger_(std::move(trigger)) {}

  TrackedMemory& memory() override {
    trigger_->strike_at(FaultPlace::setup);
    return ForwardingBackend::memory();
  }

  void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) override {
    trigger_->strike_at(FaultPlace::fill);
    ForwardingBackend::fill(x, key, row, column);
    const bool hit = trigger_->is(is_weight(key) ? FaultKind::wrong_weight : FaultKind::wrong_input);
    // The last token is the one whose logits are wanted; the last row of a weight may be padding.
    const std::int64_t at = is_weight(key) ? x.rows / 2 : x.rows - 1;
    if (hit && x.elements() > 0) change(x.row(at), x.columns / 2, x.dtype, key.scale);
  }

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    if (trigger_->enter_gemm()) {
      trigger_->strike_at(FaultPlace::compute);
      if (trigger_->is(FaultKind::no_gemm)) return;
    }
    trigger_->stretched([&] { ForwardingBackend::multiply(a, b, c, store); });
  }
  void gelu(const MatrixView& x, const MatrixView& y) override {
    trigger_->stretched([&] { ForwardingBackend::gelu(x, y); });
  }
  void swiglu(const MatrixView& x, const MatrixView& y) override {
    trigger_->stretched([&] { ForwardingBackend::swiglu(x, y); });
  }
  void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    trigger_->stretched([&] { ForwardingBackend::gelu_backward(x, dy, dx); });
  }
  void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    trigger_->stretched([&] { ForwardingBackend::swiglu_backward(x, dy, dx); });
  }
  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    trigger_->stretched([&] { ForwardingBackend::norm(kind, x, parameters, y); });
  }
  void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                     const MatrixView& dx, const MatrixView& dparameters) override {
    trigger_->stretched([&] { ForwardingBackend::norm_backward(kind, x, parameters, dy, dx, dparameters); });
  }
  void softmax(const MatrixView& x, const Visible& visible, double scale) override {
    trigger_->stretched([&] { ForwardingBackend::softmax(x, visible, scale); });
  }
  void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale) override {
    trigger_->stretched([&] { ForwardingBackend::softmax_backward(p, dp, scale); });
  }
  // What goes in is a list of tokens, which nothing fills.
  void look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y) override {
    trigger_->stretched([&] { ForwardingBackend::look_up(ids, table, y); });
    if (trigger_->is(FaultKind::wrong_input)) change(y.row(y.rows - 1), y.columns / 2, y.dtype, 1);
  }
  void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable,
                        Store store) override {
    trigger_->stretched([&] { ForwardingBackend::look_up_backward(ids, dy, dtable, store); });
  }
  void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima) override {
    trigger_->stretched([&] { ForwardingBackend::row_maxima(ids, x, maxima); });
  }
  void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima,
                    const MatrixView& sums, const MatrixView& targets) override {
    trigger_->stretched([&] { ForwardingBackend::exponentials(ids, x, maxima, sums, targets); });
  }
  void cross_entropy(const MatrixView& sums, const MatrixView& targets, const MatrixView& loss) override {
    trigger_->stretched([&] { ForwardingBackend::cross_entropy(sums, targets, loss); });
  }
  void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x) override {
    trigger_->stretched([&] { ForwardingBackend::cross_entropy_backward(ids, sums, x); });
  }
  void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) override {
    trigger_->stretched([&] { ForwardingBackend::add(a, b, sum); });
  }
  void copy(const MatrixView& from, const MatrixView& to) override {
    trigger_->stretched([&] { ForwardingBackend::copy(from, to); });
  }
  void set_zero(const MatrixView& x) override {
    trigger_->stretched([&] { ForwardingBackend::set_zero(x); });
  }

 private:
  std::shared_ptr<Trigger> trigger_;
};

class FaultyCommunicator final : public ForwardingCommunicator {
 public:
  FaultyCommunicator(std::unique_ptr<Communicator> inner, std::shared_ptr<Trigger> trigger)
      : ForwardingCommunicator(std::move(inner)), trigger_(std::move(trigger)) {}

  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    around(data, count, dtype,
           [&](void* target) { ForwardingCommunicator::all_reduce(target, count, dtype, how); });
  }
  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    around(whole, shard_count * size(), dtype,
           [&](void* target) { ForwardingCommunicator::all_gather(shard, shard_count, target, dtype); });
  }
  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    around(shard, shard_count, dtype, [&](void* target) {
      ForwardingCommunicator::reduce_scatter_sum(whole, target, shard_count, dtype);
    });
  }

 private:
  // Runs the collective into `result`, or elsewhere: the other ranks must not be left waiting for one that is
  // left out.
  template <typename Collective>
  void around(void* result, std::int64_t count, DType dtype, const Collective& collective) {
    const bool due = trigger_->enter_collective();
    if (due) trigger_->strike_at(FaultPlace::collective);
    if (due && trigger_->is(FaultKind::no_collective)) {
      const auto* bytes = static_cast<const std::byte*>(result);
      std::vector<std::byte> elsewhere(bytes, bytes + count * size_of(dtype));
      collective(elsewhere.data());
      return;
    }
    trigger_->stretched([&] { collective(result); });
    if (!due || !trigger_->is(FaultKind::wrong_sum)) return;
    const std::int64_t element = trigger_->fault().element;
    change(result, element < 0 ? count / 2 : element, dtype, largest_of(result, count, dtype));
  }

  std::shared_ptr<Trigger> trigger_;
};

class FaultyPointToPoint final : public ForwardingPointToPoint {
 public:
  FaultyPointToPoint(std::unique_ptr<PointToPoint> inner, std::shared_ptr<Trigger> trigger)
      : ForwardingPointToPoint(std::move(inner)), trigger_(std::move(trigger)) {}

  void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) override {
    const bool due = trigger_->enter_message();
    if (due && trigger_->is(FaultKind::no_message)) return;
    ForwardingPointToPoint::start_send(ticket, to, tag, data);
  }

 private:
  std::shared_ptr<Trigger> trigger_;
};

}  // namespace

Parts with_fault(Parts parts, const InjectedFault& fault, long world_rank) {
  if (fault.rank >= 0 && fault.rank != world_rank) return parts;
  const auto trigger = std::make_shared<Trigger>(fault);
  return {
      .make_backend =
          [inner = parts.make_backend, trigger](const BackendNeeds& needs) {
            return std::make_unique<FaultyBackend>(inner(needs), trigger);
          },
      // The program makes one backend more than it runs cases; of communicators it makes one for each.
      .make_communicator =
          [inner = parts.make_communicator, trigger](const std::string& algorithm, const Control& group,
                                                     DeviceSide* device) {
            trigger->next_case();
            return std::make_unique<FaultyCommunicator>(inner(algorithm, group, device), trigger);
          },
      .make_point_to_point =
          [inner = parts.make_point_to_point, trigger](const std::string& algorithm, const Control& stages,
                                                       const PointToPointNeeds& needs, DeviceSide* device) {
            return std::make_unique<FaultyPointToPoint>(inner(algorithm, stages, needs, device), trigger);
          },
  };
}

}  // namespace tpbench::test
