// Joins two network namespaces by a link with latency, for kernels without netem: a TAP device in each, and
// this program between them, which holds every frame for the delay. scripts/fabric-rig.sh compiles and starts
// it.
//
//     fabric-delay NAMESPACE NAMESPACE DEVICE DELAY_US
//
// Returns when both devices are there, and goes on in the background, in the second namespace, until it is
// ended or a device is gone. What it holds and the devices go with it.

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Frame {
  Clock::time_point due;
  std::vector<char> bytes;
};

/// One direction: frames read from a device, until the other gets them.
struct Direction {
  int from = -1;
  int to = -1;
  std::deque<Frame> held;  // in the order of their times, as all are held equally long
  std::size_t held_bytes = 0;
};

// Beyond that the device keeps what comes, and drops what it cannot keep, as a switch does.
constexpr std::size_t kMostHeldBytes = std::size_t{512} << 20U;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int checked(int result, const std::string& what) {
  if (result < 0) fail(what);
  return result;
}

/// Opens a new TAP device in a namespace, which this process enters. A device belongs to where it was opened.
/// Whole segments pass, up to 64 KiB, with checksums left out, as between the two ends of a veth: frame by
/// frame of 1500 bytes the cost of a system call each would be the rate of the link.
int open_tap(const std::string& network_namespace, const std::string& device) {
  const std::string path = "/run/netns/" + network_namespace;
  const int entry = checked(open(path.c_str(), O_RDONLY | O_CLOEXEC), path);
  checked(setns(entry, CLONE_NEWNET), path);
  close(entry);
  const int tap = checked(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  checked(ioctl(tap, TUNSETIFF, &request), "a TAP device in " + network_namespace);
  checked(ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), "TUNSETOFFLOAD");
  return tap;
}

/// Wakes up when it is time: before the ranks, which poll on every core, and not as late as timers may be by
/// default. Where that is not allowed the link works all the same, less steadily.
void come_first() {
  prctl(PR_SET_TIMERSLACK, 1UL);
  sched_param parameters{};
  parameters.sched_priority = 1;
  if (sched_setscheduler(0, SCHED_FIFO, &parameters) != 0) setpriority(PRIO_PROCESS, 0, -20);
}

/// Takes in what has come. False when the device is gone.
bool read_frames(Direction& direction, std::chrono::nanoseconds delay) {
  static std::array<char, 1U << 17U> buffer;  // a segment of 64 KiB and what IFF_VNET_HDR puts before it
  while (direction.held_bytes < kMostHeldBytes) {
    const ssize_t length = read(direction.from, buffer.data(), buffer.size());
    if (length < 0) return errno == EAGAIN || errno == EINTR;
    direction.held.push_back({Clock::now() + delay, {buffer.data(), buffer.data() + length}});
    direction.held_bytes += static_cast<std::size_t>(length);
  }
  return true;
}

void write_due_frames(Direction& direction) {
  while (!direction.held.empty() && direction.held.front().due <= Clock::now()) {
    const std::vector<char>& bytes = direction.held.front().bytes;
    // A device that is down takes nothing: the frame is lost, as on a wire.
    [[maybe_unused]] const ssize_t written = write(direction.to, bytes.data(), bytes.size());
    direction.held_bytes -= bytes.size();
    direction.held.pop_front();
  }
}

std::optional<timespec> time_to_next(const std::array<Direction, 2>& directions) {
  std::optional<Clock::time_point> next;
  for (const Direction& direction : directions) {
    if (!direction.held.empty())
      next = std::min(next.value_or(Clock::time_point::max()), direction.held.front().due);
  }
  if (!next) return std::nullopt;
  const auto left = std::max<std::int64_t>(0, std::chrono::nanoseconds(*next - Clock::now()).count());
  return timespec{left / 1'000'000'000, left % 1'000'000'000};
}

void forward(std::array<Direction, 2>& directions, std::chrono::nanoseconds delay) {
  while (true) {
    std::array<pollfd, 2> waiting{};
    for (std::size_t i = 0; i < 2; ++i) {
      const bool reading = directions[i].held_bytes < kMostHeldBytes;
      waiting[i] = {directions[i].from, static_cast<short>(reading ? POLLIN : 0), 0};
    }
    const auto left = time_to_next(directions);
    if (ppoll(waiting.data(), waiting.size(), left ? &*left : nullptr, nullptr) < 0 && errno != EINTR)
      fail("ppoll");
    for (std::size_t i = 0; i < 2; ++i) {
      if (waiting[i].revents != 0 && !read_frames(directions[i], delay)) return;
      if ((waiting[i].revents & POLLERR) != 0) return;
    }
    for (Direction& direction : directions) write_due_frames(direction);
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) {
    std::cerr << "Usage: fabric-delay NAMESPACE NAMESPACE DEVICE DELAY_US\n";
    return 2;
  }
  try {
    const std::chrono::microseconds delay(std::stoll(words[4]));
    const int first = open_tap(words[1], words[3]);
    const int second = open_tap(words[2], words[3]);
    checked(daemon(0, 0), "daemon");
    come_first();
    std::array<Direction, 2> directions;
    directions[0].from = directions[1].to = first;
    directions[0].to = directions[1].from = second;
    forward(directions, delay);
  } catch (const std::exception& error) {
    std::cerr << "fabric-delay: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
