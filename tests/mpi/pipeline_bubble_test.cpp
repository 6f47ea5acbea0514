// The bubble on work that takes as long as it is told to, so that a replay knows what it must come to.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "base/json.hpp"
#include "bench/pipeline_result.hpp"
#include "compute/forwarding_backend.hpp"
#include "measure/clock.hpp"
#include "run_case.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

constexpr std::int64_t kHidden = 16, kFfn = 24;

void sleep_until_s(double moment_s) {
  const double left_s = moment_s - now_s();
  if (left_s > 0) std::this_thread::sleep_for(std::chrono::duration<double>(left_s));
}

// Seconds for one weight set.
struct Durations {
  double forward_s = 0, input_gradient_s = 0, weight_gradient_s = 0;
};

// Of the operations of a block three sleep: two norms in a forward, their backwards in the gradient of the
// input, and one product in that of the weights.
class SleepingBackend final : public ForwardingBackend {
 public:
  SleepingBackend(std::unique_ptr<Backend> inner, const Durations& durations)
      : ForwardingBackend(std::move(inner)), durations_(durations) {}

  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    const double start_s = now_s();
    ForwardingBackend::norm(kind, x, parameters, y);
    sleep_until_s(start_s + durations_.forward_s / 2);
  }
  void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                     const MatrixView& dx, const MatrixView& dparameters) override {
    const double start_s = now_s();
    ForwardingBackend::norm_backward(kind, x, parameters, dy, dx, dparameters);
    sleep_until_s(start_s + durations_.input_gradient_s / 2);
  }
  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    const double start_s = now_s();
    ForwardingBackend::multiply(a, b, c, store);
    const bool is_down_gradient = a.transposed && c.first.rows == kFfn && c.first.columns == kHidden;
    if (is_down_gradient) sleep_until_s(start_s + durations_.weight_gradient_s);
  }

 private:
  Durations durations_;
};

// A message has come `delay_s` after it was sent. The moment of sending goes before it.
class DelayedMessages final : public PointToPoint {
 public:
  DelayedMessages(const Control& stages, std::size_t tickets, double delay_s)
      : messages_(make_mpi_point_to_point(stages, tickets)),
        moments_(make_mpi_point_to_point(stages, tickets)),
        sent_s_(tickets, 0),
        due_s_(tickets, 0),
        delay_s_(delay_s) {}

  int rank() const override { return messages_->rank(); }
  void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) override {
    due_s_[ticket] = 0;
    receives_[ticket] = true;
    moments_->start_receive(ticket, from, tag, std::as_writable_bytes(std::span(&due_s_[ticket], 1)));
    messages_->start_receive(ticket, from, tag, data);
  }
  void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) override {
    moments_->wait(ticket);
    sent_s_[ticket] = now_s();
    moments_->start_send(ticket, to, tag, std::as_bytes(std::span(&sent_s_[ticket], 1)));
    messages_->start_send(ticket, to, tag, data);
  }
  bool is_done(std::size_t ticket) override {
    return moments_->is_done(ticket) && messages_->is_done(ticket);
  }
  void progress() override { messages_->progress(); }
  void wait(std::size_t ticket) override {
    moments_->wait(ticket);
    messages_->wait(ticket);
    if (receives_[ticket]) sleep_until_s(due_s_[ticket] + delay_s_);
    receives_[ticket] = false;
  }

 private:
  std::unique_ptr<PointToPoint> messages_, moments_;
  std::vector<double> sent_s_, due_s_;  // by ticket
  std::map<std::size_t, bool> receives_;
  double delay_s_;
};

Case sleeping_case(std::int64_t pp, Schedule schedule) {
  Case point;
  point.workload = "block";
  point.pass = Pass::forward_backward;
  point.hidden_size = kHidden;
  point.ffn_hidden_size = kFfn;
  point.num_heads = 1;
  point.num_layers = 2 * pp;
  point.batch_size = 2 * pp;
  point.sequence_length = 1;
  point.layout.pp = pp;
  point.microbatches = 2 * pp;
  point.schedule = schedule;
  point.virtual_stages = schedule == Schedule::interleaved ? 2 : 1;
  point.threads_per_rank = 1;
  normalise_case(point);
  return point;
}

struct Sleep {
  Durations of_layer;
  double delay_s = 0;
  double last_stage_is_longer = 1;  ///< by this factor
};

PipelineResult run_sleeping(const Case& point, const Sleep& sleep) {
  Durations durations = sleep.of_layer;
  if (world().rank() + 1 == point.layout.pp) {
    for (double* duration : {&durations.forward_s, &durations.input_gradient_s, &durations.weight_gradient_s})
      *duration *= sleep.last_stage_is_longer;
  }
  Parts parts = built_in_parts();
  parts.make_backend = [inner = parts.make_backend, durations](const BackendNeeds& needs) {
    return std::make_unique<SleepingBackend>(inner(needs), durations);
  };
  parts.make_point_to_point = [&](const std::string&, const Control& stages, const PointToPointNeeds& needs,
                                  DeviceSide*) {
    return std::make_unique<DelayedMessages>(stages, needs.tickets, sleep.delay_s);
  };
  CaseSettings settings = quick_settings();
  settings.verify = VerifyMode::off;
  settings.measure.min_samples = settings.measure.max_samples = 3;
  const CaseOutcome outcome = run(point, parts, settings);
  EXPECT_EQ(outcome.status, Status::ok) << outcome.reason.value_or("");
  Record record;
  record.point = point;
  record.time.emplace();
  record.time->step.summary = summarise(outcome.samples.step_s);
  add_pipeline(record, outcome);
  return record.pipeline.value_or(PipelineResult{});
}

class PipelineBubble : public testing::TestWithParam<Schedule> {};

TEST_P(PipelineBubble, IsTheReplayedOne) {
  const std::int64_t pp = world().size();
  if (pp < 2) GTEST_SKIP() << "one rank";
  if (pp == 3) GTEST_SKIP() << "as on two and on four";
  constexpr double kTolerance = 0.05;
  const Durations equal = {0.002, 0.002, 0.002};
  for (const Sleep& sleep : {Sleep{equal}, Sleep{equal, equal.forward_s / 2}, Sleep{equal, 0, 1.5}}) {
    if (pp > 4 && sleep.delay_s == 0 && sleep.last_stage_is_longer == 1) continue;  // as on four
    const Case point = sleeping_case(pp, GetParam());
    PipelineResult result = run_sleeping(point, sleep);
    ASSERT_TRUE(result.bubble && result.replayed_bubble);
    // Another program may have kept a rank asleep; all ranks see the same numbers.
    for (int again = 0; again < 3 && std::abs(*result.bubble - *result.replayed_bubble) > kTolerance; ++again)
      result = run_sleeping(point, sleep);
    const std::string said = fmt::format("p {} {} c {} ms, last stage x {}: measured {:.3f}, replayed {:.3f}",
                                         pp, name_of(GetParam()), sleep.delay_s * 1e3,
                                         sleep.last_stage_is_longer, *result.bubble, *result.replayed_bubble);
    if (world().rank() == 0) fmt::print("{}\n", said);
    EXPECT_NEAR(*result.bubble, *result.replayed_bubble, kTolerance) << said;
    // What was told to the operations, and not only what was measured of them, gives the same.
    std::vector<StageTimes> told;
    for (std::int64_t stage = 0; stage < point.shape().pipeline().stages(); ++stage) {
      const double factor = (stage % pp == pp - 1 ? sleep.last_stage_is_longer : 1) *
                            static_cast<double>(point.shape().stage_layers());
      told.push_back(
          {equal.forward_s * factor, equal.input_gradient_s * factor, equal.weight_gradient_s * factor});
    }
    const Replay replay = replay_pipeline(point.shape().pipeline(), told, sleep.delay_s);
    EXPECT_NEAR(*result.bubble, replay.bubble(), 2 * kTolerance) << said;
    if (sleep.last_stage_is_longer > 1) {
      EXPECT_EQ(result.busiest, pp - 1);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, PipelineBubble,
                         testing::Values(Schedule::gpipe, Schedule::one_f_one_b, Schedule::interleaved,
                                         Schedule::zb_h1),
                         [](const auto& schedule) {
                           return schedule.param == Schedule::one_f_one_b
                                      ? "one_f_one_b"
                                      : std::string(name_of(schedule.param));
                         });

}  // namespace
}  // namespace tpbench::test
