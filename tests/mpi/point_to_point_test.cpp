#include "comm/point_to_point.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <thread>

#include "comm/device_point_to_point.hpp"
#include "measure/clock.hpp"
#include "pretended_device.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

constexpr std::int64_t kElements = 300;
constexpr std::size_t kTickets = 4;  // two receives, one ahead; two sends

using Make = std::function<std::unique_ptr<PointToPoint>(const PointToPointNeeds&)>;

struct Way {
  const char* name;
  Make make;
};

// All on one host by shared memory; by MPI in pieces; and as on two hosts, the first half of the ranks on
// one.
const Way kWays[] = {
    {"shm", [](const PointToPointNeeds& needs) { return make_shm_point_to_point(world(), needs); }},
    {"mpi",
     [](const PointToPointNeeds& needs) { return make_mpi_point_to_point(world(), needs.tickets, 500); }},
    {"mixed",
     [](const PointToPointNeeds& needs) {
       return make_point_to_point(world(), needs, world().rank() * 2 < world().size() ? "a" : "b");
     }},
    {"chosen", [](const PointToPointNeeds& needs) { return make_point_to_point(world(), needs); }},
    {"staged",
     [](const PointToPointNeeds& needs) {
       static PretendedDevice device;
       return make_staged_point_to_point(world(), needs, device);
     }},
};

class PointToPointWays : public testing::TestWithParam<std::size_t> {
 protected:
  PointToPointWays()
      : messages_(kWays[GetParam()].make({.tickets = kTickets,
                                          .landing_bytes = 2 * landing_bytes_of(kElements * 8),
                                          .received_bytes = 2 * landing_bytes_of(kElements * 8)})) {
    for (Matrix& landing : landings_)
      landing = messages_->make_landing(memory_, Category::communication, DType::f64, 1, kElements);
    for (auto& sent : sent_) sent.resize(kElements);
  }

  static double value(int from, int message, std::int64_t i) {
    return from * 1e6 + message * 1e3 + static_cast<double>(i);
  }

  void post(int from, int message) {
    const auto ticket = static_cast<std::size_t>(message % 2);
    const MatrixView& landing = landings_[ticket].view();
    messages_->start_receive(
        ticket, from, message,
        {static_cast<std::byte*>(landing.data), static_cast<std::size_t>(kElements) * 8});
  }
  void send(int to, int message) {
    const auto ticket = static_cast<std::size_t>(2 + message % 2);
    messages_->wait(ticket);
    auto& data = sent_[static_cast<std::size_t>(message % 2)];
    for (std::int64_t i = 0; i < kElements; ++i)
      data[static_cast<std::size_t>(i)] = value(world().rank(), message, i);
    messages_->start_send(ticket, to, message, std::as_bytes(std::span(data)));
  }
  void expect(int from, int message) {
    messages_->wait(static_cast<std::size_t>(message % 2));
    const auto* values =
        static_cast<const double*>(landings_[static_cast<std::size_t>(message % 2)].view().data);
    for (std::int64_t i = 0; i < kElements; ++i) EXPECT_EQ(values[i], value(from, message, i));
  }

  TrackedMemory memory_;
  std::unique_ptr<PointToPoint> messages_;
  Matrix landings_[2];
  std::vector<double> sent_[2];
};

TEST_P(PointToPointWays, CarryARingOfMessagesOneAhead) {
  constexpr int kMessages = 9;
  const int ranks = world().size(), next = (world().rank() + 1) % ranks,
            before = (world().rank() + ranks - 1) % ranks;
  if (ranks == 1) GTEST_SKIP() << "one rank";
  post(before, 0);
  for (int message = 0; message < kMessages; ++message) {
    if (message + 1 < kMessages) post(before, message + 1);
    send(next, message);
    expect(before, message);
  }
  for (std::size_t ticket = 2; ticket < kTickets; ++ticket) messages_->wait(ticket);
  world().barrier();
}

// A message that is sent before anybody has posted it is not lost, and is not done.
TEST_P(PointToPointWays, WaitForWhoPostsLate) {
  const int ranks = world().size(), next = (world().rank() + 1) % ranks,
            before = (world().rank() + ranks - 1) % ranks;
  if (ranks == 1) GTEST_SKIP() << "one rank";
  EXPECT_TRUE(messages_->is_done(0));
  send(next, 0);
  send(next, 1);
  world().barrier();
  post(before, 1);
  post(before, 0);
  expect(before, 0);
  expect(before, 1);
  for (std::size_t ticket = 2; ticket < kTickets; ++ticket) messages_->wait(ticket);
  world().barrier();
}

TEST(PointToPointProgress, IsByAThreadBetweenHosts) {
  if (world().size() < 2) GTEST_SKIP() << "one rank";
  for (const Way& way : kWays) {
    const auto messages = way.make({.tickets = kTickets});
    const bool leaves_the_host = std::string_view(way.name) == "mpi" || std::string_view(way.name) == "mixed";
    EXPECT_EQ(messages->network_progress(),
              leaves_the_host ? std::optional(MessageProgress::thread) : std::nullopt)
        << way.name;
  }
}

// A rank that computes does not call MPI: it looks at where the message goes.
TEST(PointToPointProgress, MovesALargeMessageWhileNobodyCalls) {
  const int ranks = world().size();
  if (ranks < 2) GTEST_SKIP() << "one rank";
  constexpr std::size_t kBytes = std::size_t{8} << 20;
  std::vector<std::byte> sent(kBytes, std::byte{7}), received(kBytes, std::byte{0});
  const auto messages = make_mpi_point_to_point(world(), 2);
  messages->start_receive(0, (world().rank() + ranks - 1) % ranks, 1, received);
  world().barrier();
  messages->start_send(1, (world().rank() + 1) % ranks, 1, sent);
  const volatile std::byte& last = received.back();
  const double limit_s = now_s() + 30;
  while (last != std::byte{7} && now_s() < limit_s) std::this_thread::yield();
  EXPECT_TRUE(last == std::byte{7});
  messages->wait(0);
  messages->wait(1);
  EXPECT_EQ(received, sent);
  world().barrier();
}

INSTANTIATE_TEST_SUITE_P(Ways, PointToPointWays, testing::Range<std::size_t>(0, std::size(kWays)),
                         [](const auto& way) { return std::string(kWays[way.param].name); });

}  // namespace
}  // namespace tpbench::test
